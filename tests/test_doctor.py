"""`doctor`: what is here, what is missing, and 1 when the settings ask for what cannot work."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from model_server import ModelServer
from support_models import MODEL_46, REVISION_46, tiny_hub_cache

from detector.minicpm.models import record_verified, verified_here

TINY = [
    "--set", "minicpm.threads=1",
    "--set", "minicpm.device=cpu",
    "--set", "minicpm.picture_side_pixels=224",
    "--set", "question.min_answer_mass=0.0",
]  # fmt: skip


def doctor(cache: Path, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "XDG_STATE_HOME": str(cache / "state")}
    command = [sys.executable, "-m", "detector.cli", "doctor", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment, check=False)
    assert done.stdout, done.stderr
    content = json.loads(done.stdout)
    assert content["ok"] == (done.returncode == 0)
    return done.returncode, {check["name"]: check for check in content["checks"]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    return tiny_hub_cache(tmp_path_factory.getbasetemp() / "hub")


def test_without_a_model_everything_else_is_told_and_nothing_is_wrong(tmp_path: Path) -> None:
    code, checks = doctor(tmp_path, "--verifier", "photometric")
    assert code == 0
    assert "h264" in checks["ffmpeg"]["text"]
    assert "CURVE keys work" in checks["zeromq"]["text"]
    assert checks["snapshot"]["ok"] is None
    assert "lightning-detector pull" in checks["snapshot"]["text"]
    assert checks["verifier"]["text"] == "photometric (asked for)"


@pytest.mark.model
@pytest.mark.slow
def test_the_smoke_check_loads_the_model_and_keeps_what_it_saw(cache: Path) -> None:
    code, checks = doctor(cache, "--smoke", "--verifier", "minicpm", *TINY)
    assert code == 0, checks
    smoke = {name.removeprefix("smoke: ") for name in checks if name.startswith("smoke: ")}
    assert smoke >= {"load", "finite", "moves with the pixels", "repeats", "batched as alone", "speed"}
    assert MODEL_46 in checks["snapshot"]["text"]
    assert "verified = " in checks["verified"]["text"]
    kept = verified_here({"XDG_STATE_HOME": str(cache / "state")})[MODEL_46]
    assert kept.revision == REVISION_46
    assert "s a clip" in kept.verified


@pytest.mark.model
@pytest.mark.slow
def test_a_model_that_is_asked_for_and_not_here_is_a_failure(tmp_path: Path) -> None:
    code, checks = doctor(tmp_path, "--smoke", "--verifier", "minicpm", "--attn", "flash_attention_2")
    assert code == 1
    assert checks["snapshot"]["ok"] is False
    assert checks["attention"]["ok"] is False
    assert "this is Python" in checks["attention"]["text"]
    assert checks["smoke"]["ok"] is False


def test_a_model_server_is_asked_a_question_and_its_refusal_is_a_failure(tmp_path: Path) -> None:
    with ModelServer() as server:
        server.logprobs = False
        code, checks = doctor(tmp_path, "--verifier", "served", "--endpoint", server.endpoint)
        assert code == 1
        assert "no log-probabilities" in checks["verifier"]["text"]


@pytest.mark.model
@pytest.mark.slow
def test_auto_says_what_it_would_take_here_and_why(cache: Path) -> None:
    code, checks = doctor(cache)
    assert code == 0
    expected = "minicpm (auto: torch, a GPU" if checks["gpu"]["ok"] else "photometric (auto: no GPU that torch can see)"
    assert checks["verifier"]["text"].startswith(expected)


def test_what_passed_here_is_kept_for_each_model(tmp_path: Path) -> None:
    place = {"XDG_STATE_HOME": str(tmp_path)}
    assert verified_here(place) == {}
    record_verified("a/b", "a" * 40, "first", place)
    record_verified("c/d", "c" * 40, "other", place)
    record_verified("a/b", "b" * 40, "second", place)
    assert {name: row.verified for name, row in verified_here(place).items()} == {"a/b": "second", "c/d": "other"}
