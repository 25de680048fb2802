"""`replay` and `watch` with a model: every flash is judged, and no camera suffers whatever the model does."""

import json
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from detector.cli.main import main
from detector.run.cameras import load_cameras
from detector.run.session import open_session
from detector.run.watch import CameraPool, CameraSpec
from detector.settings import Settings
from helpers.model_server import ModelServer
from helpers.models import MODEL_46, REVISION_46, model_settings
from helpers.rtsp import RtspServer
from helpers.waiting import wait_until
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import CameraStatus, FeedOptions, WireMessage

pytestmark = pytest.mark.slow
FLASHES = (FlashPlan(kind="sheet", at=1.0), FlashPlan(kind="bolt", at=3.0))
TINY = [
    "--set", "minicpm.threads=1",
    "--set", "minicpm.device=cpu",
    "--set", "minicpm.picture_side_pixels=224",
    "--set", "question.min_answer_mass=0.0",
]  # fmt: skip


@pytest.fixture(scope="session")
def two_flashes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 4 s with two flashes."""
    path = tmp_path_factory.mktemp("model-storm") / "storm.mp4"
    write_clip(Scene(Plan(seconds=4.0, size=(320, 180), flashes=FLASHES)), path, ClipFormat(key_seconds=1.0))
    return path


def replayed(capfd: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["replay", "--json", "--quiet", *words]) == 0
    return [json.loads(line)["data"] for line in capfd.readouterr().out.splitlines()]


@pytest.mark.model
@pytest.mark.parametrize("kind", ["minicpm", "photometric+minicpm"])
def test_replay_has_every_flash_judged_by_the_model(
    kind: str, hub_cache: Path, two_flashes: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(hub_cache))
    doubtful = ["--set", "cascade.reject_below=0.0", "--set", "cascade.confirm_above=1.0"]
    events = replayed(capfd, str(two_flashes), "--verifier", kind, *TINY, *doubtful)
    last = {event["id"]: event for event in events}
    assert len(last) == 2
    for flash in last.values():
        verdict = flash["verdict"]
        assert flash["state"] in {"confirmed", "rejected"}, verdict
        assert (verdict["verifier"], verdict["model"], verdict["model_revision"]) == (kind, MODEL_46, REVISION_46)
        assert verdict["prompt_version"].startswith("2-")
        assert verdict["seconds"] > 0
        assert {"log_odds", "answer_mass"} <= set(verdict["evidence"])


def test_replay_has_every_flash_judged_by_a_model_server(two_flashes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with ModelServer(probability=0.8) as server:
        events = replayed(capfd, str(two_flashes), "--verifier", "served", "--endpoint", server.endpoint)
    assert [event["state"] for event in events if event["state"] != "detected"] == ["confirmed"] * 2
    assert {event["verdict"]["model"] for event in events if event["verdict"]} == {"tiny/model"}


@pytest.mark.model
def test_a_model_that_cannot_load_leaves_every_flash_unverified_and_the_replay_whole(
    hub_cache: Path, two_flashes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (hub_cache / "models--openbmb--MiniCPM-V-4.6" / "snapshots" / REVISION_46).iterdir():
        content = path.read_bytes()
        if path.name == "config.json":
            content = content.replace(b'"num_attention_heads": 2', b'"num_attention_heads": 5')
        (broken / path.name).write_bytes(content)
    events = replayed(capfd, str(two_flashes), "--verifier", "minicpm", "--model", str(broken), *TINY)
    ends = [event for event in events if event["state"] != "detected"]
    assert [event["state"] for event in ends] == ["unverified"] * 2
    assert "could not be loaded" in ends[0]["verdict"]["reason"]


@pytest.mark.parametrize(
    "case",
    [
        ([], "lightning-detector pull"),
        (["--model-revision", "1740887"], "40 hexadecimal digits"),
        (["--model", "openbmb/MiniCPM-V-4_5"], "cannot run here"),
        (["--set", "minicpm.channel=edge", "--model-revision", REVISION_46], "cannot apply"),
    ],
)
def test_a_model_that_is_asked_for_and_cannot_run_is_one_line(
    case: tuple[list[str], str],
    two_flashes: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    words, said = case
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert main(["replay", str(two_flashes), "--verifier", "minicpm", *words]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert said in err


class Events:
    """The revisions of each flash that four cameras reported, and when each began."""

    def __init__(self) -> None:
        self.flashes: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._lock = threading.Lock()

    def __call__(self, message: WireMessage) -> None:
        event = json.loads(message.body)
        if event["type"] == "lightning.flash.v1":
            with self._lock:
                self.flashes[event["data"]["id"]].append(event["data"])

    def judged(self) -> int:
        with self._lock:
            return sum(flashes[-1]["state"] in {"confirmed", "rejected"} for flashes in self.flashes.values())

    def latencies_ms(self) -> list[float]:
        """From the onset's arrival to `detected`, sorted."""
        return sorted(flashes[0]["latency_ms"] for flashes in self.flashes.values())


@contextmanager
def four_cameras(settings: Settings, url: str, events: Events, tmp_path: Path) -> Iterator[CameraPool]:
    """A running watch of four cameras; on leaving, every flash must have its last word."""
    publish = FeedOptions(site="site", journal=tmp_path / f"{time.monotonic_ns()}.db")
    with ExitStack() as stack:
        session = stack.enter_context(open_session(settings, publish, [events]))
        cameras = {"camera": [{"url": url, "name": name} for name in "abcd"]}
        _, entries = load_cameras([("settings", msgspec.to_builtins(settings)), ("cameras", cameras)])
        watched = [
            CameraSpec(entry.name, entry.address, entry.capture, partial(session.camera_detector, entry))
            for entry in entries
        ]

        def ignore(_status: CameraStatus) -> None:
            pass

        pool = stack.enter_context(CameraPool(watched, ignore).running())
        wait_until(lambda: all(w.status.state == "live" for w in pool.workers), 30, "four live cameras")
        yield pool
    for name, flashes in events.flashes.items():
        states = [flash["state"] for flash in flashes]
        assert states[0] == "detected", f"{name}: {states}"
        assert states[-1] != "detected", f"{name} never got a verdict"
        assert [flash["revision"] for flash in flashes] == list(range(1, len(flashes) + 1))


def assert_no_frame_was_lost(pool: CameraPool) -> None:
    for worker in pool.workers:
        status = worker.status
        assert (status.skipped, status.reconnects, worker.fault) == (0, 0, None), f"{worker.name}: {status}"


def test_a_slow_model_server_costs_neither_frames_nor_the_first_message(
    rtsp_server: Callable[..., RtspServer], two_flashes: Path, tmp_path: Path
) -> None:
    url = rtsp_server(two_flashes).url
    quick, slow = Events(), Events()
    with four_cameras(model_settings("photometric"), url, quick, tmp_path) as pool:
        wait_until(lambda: len(quick.flashes) >= 12, 40, "twelve flashes")
        assert_no_frame_was_lost(pool)
    with ModelServer(probability=0.8, seconds=2.0) as server:
        served = {"endpoint": server.endpoint, "concurrency": 2}
        settings = model_settings("served", served=served, batcher={"deadline_seconds": 3.0, "waiting_limit": 8})
        with four_cameras(settings, url, slow, tmp_path) as pool:
            wait_until(lambda: len(slow.flashes) >= 16, 60, "sixteen flashes")
            assert_no_frame_was_lost(pool)
    assert any("late" in (f["verdict"]["reason"] or "") for flashes in slow.flashes.values() for f in flashes[1:])
    median_quick, median_slow = (e.latencies_ms()[len(e.flashes) // 2] for e in (quick, slow))
    assert median_slow < median_quick + 250, "the first message must not wait for the model"


@pytest.mark.soak
@pytest.mark.model
def test_killing_and_stopping_the_model_costs_four_cameras_no_frame_and_no_event(
    rtsp_server: Callable[..., RtspServer],
    two_flashes: Path,
    hub_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(hub_cache))
    url = rtsp_server(two_flashes).url
    settings = model_settings(minicpm={"answer_limit_seconds": 3.0}, batcher={"deadline_seconds": 4.0})
    events = Events()
    with four_cameras(settings, url, events, tmp_path) as pool:
        wait_until(events.judged, 60, "a first verdict")
        for blow in (signal.SIGKILL, signal.SIGSTOP):
            hurt = worker_process()
            os.kill(hurt, blow)
            wait_until(partial(_another, hurt), 60, f"a new process after {blow.name}")
            before = events.judged()  # from here on only the new process judges: the next blow must not hit it loading
            wait_until(lambda: events.judged() > before, 60, f"verdicts after {blow.name}")  # noqa: B023 - within the turn
        assert_no_frame_was_lost(pool)


def worker_process() -> int:
    """The model's process of this program."""
    return _workers()[0]


def _another(than: int) -> bool:
    return any(pid != than for pid in _workers())


def _workers() -> list[int]:
    found = []
    for child in psutil.Process().children():
        try:
            if "detector.verify.vlm.local.worker" in child.cmdline():
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found
