"""`doctor`: what is here, what is missing, and 1 when the settings ask for what cannot work."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.cli.doctor import Doctor, udp_check
from detector.settings import load_settings
from detector.verify.factory import why_no_gpu_model
from detector.verify.vlm.local.environment_report import EnvironmentReport, Gpu
from detector.verify.vlm.local.models import record_verified, verified_here
from helpers.model_server import ModelServer
from helpers.models import MODEL_46, REVISION_46, model_settings
from stream import granted_receive_bytes, read_host_clock

TINY = [
    "--set", "minicpm.threads=1",
    "--set", "minicpm.device=cpu",
    "--set", "minicpm.picture_side_pixels=224",
    "--set", "question.min_answer_mass=0.0",
]  # fmt: skip


def doctor(hub_cache: Path, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    environment = os.environ | {"HF_HUB_CACHE": str(hub_cache), "XDG_STATE_HOME": str(hub_cache / "state")}
    command = [sys.executable, "-m", "detector", "doctor", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment, check=False)
    assert done.stdout, done.stderr
    content = json.loads(done.stdout)
    assert content["ok"] == (done.returncode == 0)
    return done.returncode, {check["name"]: check for check in content["checks"]}


def test_without_a_model_everything_else_is_told_and_nothing_is_wrong(tmp_path: Path) -> None:
    code, checks = doctor(tmp_path, "--verifier", "photometric")
    assert code == 0
    assert "h264" in checks["ffmpeg"]["text"]
    assert "CURVE keys work" in checks["zeromq"]["text"]
    clock = read_host_clock()
    assert checks["clock"]["ok"] is (True if clock.synchronised else None)
    assert ("synchronised" in checks["clock"]["text"]) == (clock.source is not None)
    assert checks["snapshot"]["ok"] is None
    assert "lightning-detector pull" in checks["snapshot"]["text"]
    assert checks["verifier"]["text"] == "photometric (asked for)"


def test_a_small_receive_buffer_is_told_with_what_makes_it_larger(tmp_path: Path) -> None:
    small, large = udp_check(212_992), udp_check(4 << 20)
    assert (small.ok, large.ok) == (None, True)
    assert "buffer of 0.2 MB instead of 4.2 MB" in small.text
    assert "net.core.rmem_max=4194304" in small.text
    assert doctor(tmp_path, "--verifier", "photometric")[1]["udp"]["text"] == udp_check(granted_receive_bytes()).text


@pytest.mark.model
@pytest.mark.slow
def test_the_smoke_check_loads_the_model_and_keeps_what_it_saw(hub_cache: Path) -> None:
    code, checks = doctor(hub_cache, "--smoke", "--verifier", "minicpm", *TINY)
    assert code == 0, checks
    smoke = {name.removeprefix("smoke: ") for name in checks if name.startswith("smoke: ")}
    assert smoke >= {"load", "finite", "moves with the pixels", "repeats", "batched as alone", "speed"}
    assert MODEL_46 in checks["snapshot"]["text"]
    assert "verified = " in checks["verified"]["text"]
    kept = verified_here({"XDG_STATE_HOME": str(hub_cache / "state")})[MODEL_46]
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


def test_a_model_server_is_asked_a_question_and_its_refusal_is_a_failure() -> None:
    with ModelServer() as server:
        doctor = Doctor(model_settings("served", served={"endpoint": server.endpoint}))
        assert "served, tiny/model" in doctor.verifier_check().text
        server.logprobs = False
        refused = doctor.verifier_check()
    assert refused.ok is False
    assert "no log-probabilities" in refused.text


def test_auto_takes_the_model_only_with_a_gpu_and_says_what_is_missing(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = EnvironmentReport(python="3.11.7", torch="2.13.0")
    card = Gpu(name="NVIDIA L4", memory_gib=22.0, free_gib=21.0, capability="8.9")
    with_one = msgspec.structs.replace(without, gpus=[card])
    monkeypatch.setenv("HF_HUB_CACHE", str(hub_cache))
    assert why_no_gpu_model(load_settings(), with_one) is None
    assert why_no_gpu_model(load_settings(), without) == "no GPU that torch can see"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert "lightning-detector pull" in (why_no_gpu_model(load_settings(), with_one) or "")


def test_where_no_card_is_nothing_is_said_of_a_model_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert why_no_gpu_model(load_settings(), devices=tmp_path) == "no GPU"
    assert (
        why_no_gpu_model(load_settings(), EnvironmentReport(python="3.11.7", torch="2.13.0"))
        == "no GPU that torch can see"
    )
    (tmp_path / "nvidiactl").touch()
    assert "no model: " in (why_no_gpu_model(load_settings(), devices=tmp_path) or "")


def test_what_passed_here_is_kept_for_each_model(tmp_path: Path) -> None:
    place = {"XDG_STATE_HOME": str(tmp_path)}
    assert verified_here(place) == {}
    record_verified("a/b", "a" * 40, "first", place)
    record_verified("c/d", "c" * 40, "other", place)
    record_verified("a/b", "b" * 40, "second", place)
    assert {name: row.verified for name, row in verified_here(place).items()} == {"a/b": "second", "c/d": "other"}


def test_the_smoke_check_of_served_asks_the_server_and_no_local_model(tmp_path: Path) -> None:
    with ModelServer(probability=None, token_ids={"Yes": 1, "No": 2}) as server:
        code, checks = doctor(tmp_path, "--smoke", "--verifier", "served", "--endpoint", server.endpoint)
    smoke = {name.removeprefix("smoke: "): check["ok"] for name, check in checks.items() if name.startswith("smoke: ")}
    assert set(smoke) >= {"server", "finite", "moves with the pixels", "repeats", "batched as alone", "speed"}
    assert smoke["server"]
    assert smoke["repeats"]
    assert smoke["moves with the pixels"] is False, "this stand-in answers by its brightest image alone"
    assert code == 1
    assert "smoke" not in checks, "no word about a snapshot that served does not need"


def test_a_device_that_is_not_there_is_told_and_nothing_is_well(tmp_path: Path) -> None:
    code, checks = doctor(tmp_path, "--verifier", "minicpm", "--set", "minicpm.device=cuda:99")
    assert code == 1
    assert checks["gpu"]["ok"] is False
    assert "minicpm.device = 'cuda:99'" in checks["gpu"]["text"]
    assert checks["verifier"]["ok"] is False
