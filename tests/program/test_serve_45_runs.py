"""`serve-45` from start to end: under load, stopped, and as the verifier of `replay` and `watch`."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from detector.verify.vlm.server45.trust import code_files, trust
from helpers.asking45 import ask, image, request
from helpers.feed import free_endpoint
from helpers.rtsp import RtspServer
from helpers.standin45 import MODEL, REVISION, Serving, appended, lay_out
from helpers.waiting import wait_until


def test_ctrl_c_ends_everything_at_once_even_while_a_question_is_being_answered(
    standin45: Path, tmp_path: Path
) -> None:
    slow = appended(
        "modeling_minicpmv.py",
        "\nimport time\nquick = MiniCPMV.get_vllm_embedding\n"
        "def slowly(self, data):\n    time.sleep(1.5)\n    return quick(self, data)\n"
        "MiniCPMV.get_vllm_embedding = slowly\n",
    )
    place = lay_out(standin45, tmp_path, slow)
    limits = ("minicpm45.waiting_limit=1", "minicpm45.batch_size=1", "minicpm45.answer_limit_seconds=2.5")
    with place.serving("--trust", *(word for limit in limits for word in ("--set", limit))) as serving:
        with ThreadPoolExecutor(6) as pool:
            replies = list(pool.map(lambda _: ask(serving.url, request(image(1))), range(6)))
        # One is answered, one waits; the rest are told to come back, and nobody is kept without a word.
        assert {reply.status_code for reply in replies} <= {200, 503, 504}
        refused = [reply for reply in replies if reply.status_code == 503]
        assert refused
        assert all(reply.headers["Retry-After"] == "1" for reply in refused)
        model = serving.model_processes()
        assert len(model) == 1
        with ThreadPoolExecutor(4) as pool:
            late = [pool.submit(ask, serving.url, request(image(1))) for _ in range(4)]
            wait_until(lambda: httpx.get(serving.url.replace("/v1", "/health")).json()["waiting"] == 1)
            assert serving.stop() == 0
            # Answered, turned away, or, if it had not been let in yet, hung up on: nobody is left waiting.
            ends = [one.exception(10) or one.result().status_code for one in late]
            assert all(one in {200, 503} or isinstance(one, httpx.TransportError) for one in ends)
        assert not psutil.pid_exists(model[0].pid)
    assert list(place.scratch.iterdir()) == []


def verdicts(served45: Serving, *words: str) -> list[dict[str, Any]]:
    """The last state of every flash that `lightning-detector WORDS` finds with this server as its verifier."""
    command = [
        sys.executable, "-m", "detector", *words, "--json", "--quiet", "--verifier", "served",
        "--endpoint", served45.url, "--set", "question.min_answer_mass=0",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return list({event["data"]["id"]: event["data"] for event in events if "flash" in event["type"]}.values())


def check_verdicts(flashes: list[dict[str, Any]]) -> None:
    assert flashes
    for flash in flashes:
        verdict = flash["verdict"]
        assert flash["state"] in {"confirmed", "rejected"}, verdict
        assert (verdict["verifier"], verdict["model"], verdict["model_revision"]) == ("served", MODEL, REVISION)
        assert math.isfinite(verdict["evidence"]["log_odds"])
        assert verdict["prompt_version"]
        assert verdict["seconds"] > 0
    assert len({flash["verdict"]["evidence"]["log_odds"] for flash in flashes}) == len(flashes)


def test_replay_judges_a_clip_by_the_served_model(served45: Serving, camera_clip: Path) -> None:
    flashes = verdicts(served45, "replay", str(camera_clip))
    assert len(flashes) == 3
    check_verdicts(flashes)


def test_watch_judges_a_camera_by_the_served_model(
    served45: Serving, camera_clip: Path, rtsp_server: Callable[..., RtspServer], tmp_path: Path
) -> None:
    endpoint = free_endpoint()
    flashes = verdicts(
        served45, "watch", rtsp_server(camera_clip).url, "--seconds", "9", "--publish", endpoint,
        "--journal", str(tmp_path / "journal.db"),
    )  # fmt: skip
    # One that shone when the time was up may be without an answer.
    check_verdicts([flash for flash in flashes if flash["verdict"] and not flash["verdict"]["reason"]])


def test_the_smoke_check_asks_doctors_questions_and_keeps_what_passed(standin45: Path, tmp_path: Path) -> None:
    place = lay_out(standin45, tmp_path)
    trust(place.record, MODEL, REVISION, code_files(place.snapshot))
    words = ("--smoke", "--set", "question.min_answer_mass=0", "--set", "minicpm45.precision=fp32")
    done = subprocess.run(
        place.command(*words), capture_output=True, text=True, timeout=90, env=place.surroundings, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok smoke: ") for line in lines)
    for name in (
        "load",
        "finite",
        "moves with the pixels",
        "repeats",
        "batched as alone",
        "answers Yes or No",
        "speed",
    ):
        assert any(name in line for line in lines)
    assert f'{MODEL}: verified = "' in lines[-1]
    kept = json.loads((place.record.parent / "verified.json").read_text())
    assert kept[MODEL]["revision"] == REVISION
