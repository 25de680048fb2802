"""`watch`: a real RTSP camera in, numbered events out, to a subscriber in another process."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from detector.events import FLASH_SCHEMA, FLASH_TYPE, event_schema
from helpers.feed import flash, free_endpoint, options_for
from helpers.media import Clip, make_clip, upside_down
from helpers.plain_camera import PlainCamera
from helpers.rtsp import RtspServer
from helpers.waiting import wait_until
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import Publisher

FLASHES = (FlashPlan(kind="sheet", at=2.0), FlashPlan(kind="bolt", at=5.0))
PROGRAM = (sys.executable, "-m", "detector")


@pytest.fixture(scope="session")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 8 s with two flashes, to be served in a loop."""
    path = tmp_path_factory.mktemp("storm") / "storm.mp4"
    write_clip(Scene(Plan(seconds=8.0, size=(320, 180), flashes=FLASHES)), path, ClipFormat(key_seconds=1.0))
    return path


@contextmanager
def running(*words: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def flashes_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        event = json.loads(line)
        if event["type"] == "lightning.flash.v1":
            yield event["data"]


def told_besides(journal: str) -> list[str]:
    """The states of the program and its cameras that a journal holds."""
    done = subprocess.run(
        [*PROGRAM, "history", journal, "--json"], capture_output=True, text=True, check=True, timeout=60
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    about = ("lightning.camera.v1", "lightning.system.v1")
    return [event["data"]["state"] for event in events if event["type"] in about]


def test_every_flash_of_a_camera_reaches_a_subscriber_at_once_and_is_confirmed(
    rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    camera = rtsp_server(storm)
    endpoint = free_endpoint()
    journal = str(tmp_path / "journal.db")
    with (
        running("watch", camera.url, "--publish", endpoint, "--journal", journal, "--verifier", "photometric") as watch,
        running("subscribe", endpoint, "--json", "--since", "0") as subscriber,
    ):
        assert subscriber.stdout is not None
        flashes = flashes_of(iter(subscriber.stdout.readline, ""))
        seen = [next(flashes) for _ in range(4)]
        watch.send_signal(signal.SIGINT)
        assert watch.wait(timeout=10) == 0
    assert [flash["state"] for flash in seen] == ["detected", "confirmed"] * 2
    assert seen[0]["id"] == seen[1]["id"] != seen[2]["id"]
    assert told_besides(journal) == ["started", "live", "stopped"]
    assert all(flash["clock"] in {"rtcp", "arrival"} and flash["start_utc"] for flash in seen)


@pytest.mark.parametrize(
    ("account", "path", "said"), [("joe:wrong-pa55", "/cam", "password"), ("joe:pa55word", "/nothing", "path")]
)
def test_a_camera_that_refuses_is_explained_without_its_password(
    account: str, path: str, said: str, rtsp_server: Callable[..., RtspServer], storm: Path
) -> None:
    camera = rtsp_server(storm, "--user", "joe", "--password", "pa55word")
    url = f"rtsp://{account}@127.0.0.1:{camera.port}{path}"
    done = subprocess.run(
        [*PROGRAM, "watch", url, "--publish", "none", "--json", "--verifier", "photometric"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    for secret in ("pa55", "joe"):
        assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("admin:pa55word@192.0.2.1/stream", "rtsp://..."),
        ("rtsp://admin:it/pa55word@127.0.0.1/cam", "%2F"),
        ("rtsp://admin:it's a pa55word@127.0.0.1:1/cam", "refused"),
        ("rtsp://[::1/cam", "no host can be read"),
        ("rtsp:///cam", "no host can be read"),
        ("rtsp://127.0.0.1:1/k\udcf6ln", "refused"),
    ],
)
def test_an_address_that_was_mistyped_is_explained_without_its_password(address: str, said: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "watch", address, "--publish", "none", "--json", "--verifier", "photometric"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert said in done.stderr
    assert "no camera answered" in done.stderr
    assert "Traceback" not in done.stderr
    assert "pa55" not in done.stdout + done.stderr
    assert "admin" not in done.stdout + done.stderr


@pytest.mark.parametrize("reader", ["pauses", "has left", "is a full disk"])
def test_a_reader_of_stdout_in_trouble_stops_neither_the_feed_nor_the_end(
    reader: str, rtsp_server: Callable[..., RtspServer], storm: Path
) -> None:
    endpoint = free_endpoint()
    words = ["watch", rtsp_server(storm).url, "--publish", endpoint, "--json", "--verifier", "photometric", "--quiet"]
    with (
        output_whose(reader) as stdout,
        subprocess.Popen([*PROGRAM, *words], stdout=stdout, stderr=subprocess.PIPE, text=True) as watch,
        running("subscribe", endpoint, "--json", "--since", "0", "--seconds", "60") as subscriber,
    ):
        assert subscriber.stdout is not None
        flashes = flashes_of(iter(subscriber.stdout.readline, ""))
        assert [next(flashes)["state"] for _ in range(4)] == ["detected", "confirmed"] * 2
        watch.send_signal(signal.SIGINT)
        _, said = watch.communicate(timeout=10)
    assert watch.returncode == 0
    assert said.count("stdout: ") == 1
    assert {"pauses": "not printed", "has left": "has left", "is a full disk": "No space left"}[reader] in said


def test_a_watch_that_only_prints_ends_quietly_when_its_reader_has_left(
    rtsp_server: Callable[..., RtspServer], storm: Path
) -> None:
    words = ["watch", rtsp_server(storm).url, "--publish", "none", "--json", "--verifier", "photometric", "--quiet"]
    with output_whose("has left") as stdout:
        done = subprocess.run(
            [*PROGRAM, *words], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_flash_that_its_camera_does_not_survive_is_judged_before_the_camera_is_back(
    rtsp_server: Callable[..., RtspServer], storm: Path
) -> None:
    camera = rtsp_server(storm)
    words = ["watch", camera.url, "--publish", "none", "--json", "--verifier", "none", "--seconds", "40"]
    with running(*words) as watch:
        assert watch.stdout is not None
        flashes = flashes_of(iter(watch.stdout.readline, ""))
        detected = next(flashes)
        camera.kill()
        killed = time.monotonic()
        judged = next(flashes)
        assert time.monotonic() - killed < 15
    assert (detected["id"], detected["state"]) == (judged["id"], "detected")
    assert judged["state"] == "unverified"


@pytest.mark.parametrize("reader", ["pauses", "has left", "is a full disk"])
def test_a_reader_of_the_log_in_trouble_stops_neither_the_cameras_nor_the_feed(
    reader: str, rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.db"
    endpoint = free_endpoint()
    words = ["watch", rtsp_server(storm).url, "--publish", endpoint, "--journal", str(journal), "--verifier", "none"]
    with (
        output_whose(reader) as stderr,
        subprocess.Popen([*PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=stderr) as watch,
        running("subscribe", endpoint, "--json", "--since", "0", "--seconds", "60") as subscriber,
    ):
        assert subscriber.stdout is not None
        flashes = flashes_of(iter(subscriber.stdout.readline, ""))
        try:
            assert [flash["state"] for flash in islice(flashes, 4)] == ["detected", "unverified"] * 2
            watch.send_signal(signal.SIGTERM)
            wait_until(lambda: "stopped" in told_besides(str(journal)), 20, "the end is published")
        finally:
            watch.kill()


@contextmanager
def output_whose(reader: str) -> Iterator[int]:
    """Something to write to whose reader pauses for ever, has left, or is a full disk."""
    if reader == "is a full disk":
        with Path("/dev/full").open("wb") as full:
            yield full.fileno()
        return
    reads, writes = os.pipe()
    if reader == "pauses":
        os.set_blocking(writes, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writes, b"\n" * 4096)
        os.set_blocking(writes, True)
    else:
        os.close(reads)
    try:
        yield writes
    finally:
        os.close(writes)
        if reader == "pauses":
            os.close(reads)


def test_a_camera_with_two_lenses_in_one_session_is_watched_as_two(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "first.ts", Clip(seconds=2, size=(320, 180)))
    second = upside_down(first, tmp_path / "second.ts")
    journal = str(tmp_path / "journal.db")
    with PlainCamera(first, second=second).running() as camera:
        words = ["--publish", free_endpoint(), "--journal", journal, "--verifier", "photometric", "--keep-trying"]
        with running("watch", camera.url, *words) as watch:
            wait_until(lambda: live_cameras(journal) >= {"127-0-0-1-cam-1", "127-0-0-1-cam-2"}, 60, "both lenses")
            watch.send_signal(signal.SIGINT)
            assert watch.wait(timeout=15) == 0


def live_cameras(journal: str) -> set[str]:
    """The cameras that a journal has told to be live."""
    done = subprocess.run(
        [*PROGRAM, "history", journal, "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [event["data"] for event in events if event["type"] == "lightning.camera.v1"]
    return {data["camera"] for data in told if data["state"] == "live"}


def test_cameras_that_were_never_live_are_named_and_are_no_quiet_night(tmp_path: Path) -> None:
    config = tmp_path / "cameras.toml"
    config.write_text('[[camera]]\nname = "roof"\nurl = "rtsp://joe:pa55@127.0.0.1:1/cam"\n')
    words = ["--publish", "none", "--verifier", "photometric", "--seconds", "2"]
    for asked in (["--config", str(config), "--quiet"], ["rtsp://joe:pa55@127.0.0.1:1/roof", "--keep-trying"]):
        done = subprocess.run(
            [*PROGRAM, "watch", *asked, *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert re.search(r"roof: was never live \(.*refused.*\); nothing is known of it", done.stderr)
        assert "no flashes" not in done.stderr
        assert "pa55" not in done.stderr


def test_a_flash_that_a_killed_run_left_without_a_verdict_is_published_as_unverified_at_the_next_start(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journal.db"
    detected = replace(flash(), state="detected", revision=1, verdict=None, end_seconds=None, duration_seconds=None)
    judged = replace(detected, id="judged")
    with Publisher(options_for(None, journal), event_schema()) as feed:
        for one in (detected, judged, replace(judged, state="rejected", revision=2)):
            feed.publish(topic="ev.flash.cam", type=FLASH_TYPE, subject="cam", dataschema=FLASH_SCHEMA, data=one)
    config = tmp_path / "cameras.toml"
    config.write_text('[[camera]]\nname = "roof"\nurl = "rtsp://127.0.0.1:1/cam"\n')
    words = ["--publish", "none", "--journal", str(journal), "--out", str(tmp_path / "out"), "--seconds", "1"]
    for _ in range(2):
        command = [*PROGRAM, "watch", "--config", str(config), "--verifier", "none", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr
    told = subprocess.run(
        [*PROGRAM, "history", str(journal), "--json"], capture_output=True, text=True, check=True, timeout=60
    )
    flashes = list(flashes_of(iter(told.stdout.splitlines())))
    assert [(f["id"], f["state"], f["revision"]) for f in flashes] == [
        (detected.id, "detected", 1),
        ("judged", "detected", 1),
        ("judged", "rejected", 2),
        (detected.id, "unverified", 2),
    ]
    assert "killed" in flashes[-1]["verdict"]["reason"]
    (file,) = [path for path in (tmp_path / "out").glob("flashes-*.jsonl") if path.stat().st_size]
    kept = file.read_text().splitlines()
    assert [f["id"] for f in flashes_of(iter(kept))] == [detected.id]


def test_a_mask_over_nearly_the_whole_picture_is_warned_of(tmp_path: Path) -> None:
    config = tmp_path / "cameras.toml"
    camera = '[[camera]]\nname = "{name}"\nurl = "rtsp://127.0.0.1:1/cam"\nmask = [{{ box = [0, 0, 1, {bottom}] }}]\n'
    config.write_text(camera.format(name="blind", bottom=1) + camera.format(name="roof", bottom=0.9))
    command = [*PROGRAM, "watch", "--config", str(config), "--publish", "none", "--verifier", "none", "--seconds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "WARNING blind: its mask and region leave 0.0% of the frame" in done.stderr
    assert "roof: its mask" not in done.stderr
