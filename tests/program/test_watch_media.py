"""The media of `watch`: clips of a real RTSP camera, with what was before a flash and after it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from helpers.rtsp import RtspServer
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

PROGRAM = (sys.executable, "-m", "detector", "watch")
WORDS = ("--verifier", "photometric", "--publish", "none", "--json", "--quiet")


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 16 s with a flash at 9 s and a key frame every 4 s, to be served in a loop."""
    path = tmp_path_factory.mktemp("storm") / "storm.mp4"
    plan = Plan(seconds=16.0, size=(640, 360), flashes=(FlashPlan(kind="sheet", at=9.0),))
    write_clip(Scene(plan), path, ClipFormat(key_seconds=4.0))
    return path


@contextmanager
def watching(*words: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Run `watch`; gives the flashes that it prints, as they come."""
    process = subprocess.Popen([*PROGRAM, *words, *WORDS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        events = map(json.loads, process.stdout)
        try:
            yield (event["data"] for event in events if event["type"] == "lightning.flash.v1")
        finally:
            process.terminate()


def first_with(flashes: Iterator[dict[str, Any]], wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    return next(flash for flash in flashes if wanted(flash))


@pytest.mark.alone  # it measures how late events come
def test_a_camera_with_a_key_frame_every_4_s_gives_clips_with_what_was_before_the_flash_and_after_it(
    rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with watching(rtsp_server(storm).url, "--out", str(out)) as flashes:
        told = [next(flashes) for _ in range(3)]
    assert [(one["state"], one["revision"]) for one in told] == [("detected", 1), ("confirmed", 2), ("confirmed", 3)]
    assert "state" in told[1]["changed"]
    assert {key.partition(".")[0] for key in told[2]["changed"]} == {"media"}
    assert all(one["latency_ms"] < 1000 for one in told)
    flash = told[-1]
    media = flash["media"]
    begin, end = media["clip_start_seconds"], media["clip_end_seconds"]
    assert begin <= flash["start_seconds"] - 2.0
    assert begin > flash["start_seconds"] - 2.0 - 4.1, "from the key frame before"
    assert end == pytest.approx(flash["end_seconds"] + 2.0, abs=0.1)
    with av.open(str(out / media["clip"])) as clip:
        light = {frame.time: float(frame.to_ndarray(format="gray").mean()) for frame in clip.decode(video=0)}
        assert "creation_time" in clip.metadata
    assert min(light) == 0.0
    assert max(light) + 0.04 == pytest.approx(end - begin, abs=0.05)
    assert begin + max(light, key=lambda time: light[time]) == pytest.approx(flash["peak_seconds"], abs=0.05)
    assert 0.0 in media["strip_seconds"]
    day = flash["start_utc"][:10]
    assert media["clip"].startswith(f"127-0-0-1-cam/{day}/") or f"/{day}/" in media["clip"]


def test_a_camera_that_is_lost_in_a_flash_leaves_its_still_and_the_clip_so_far_and_says_so(
    rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    server = rtsp_server(storm)
    with watching(server.url, "--out", str(out)) as flashes:
        first_with(flashes, lambda flash: flash["state"] == "detected")
        server.kill()
        told = first_with(flashes, lambda flash: flash["media"]["clip"])
    assert told["media"]["note"].startswith("clip cut short: ends ")
    assert "the camera was lost" in told["media"]["note"]
    assert (out / told["media"]["still"]).is_file()
    with av.open(str(out / told["media"]["clip"])) as clip:
        frames = sum(1 for _ in clip.decode(video=0))
    assert frames / 25 >= 2.0


def test_a_folder_that_is_removed_while_it_is_watched_is_made_again(
    rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with watching(rtsp_server(storm).url, "--out", str(out)) as flashes:
        first = first_with(flashes, lambda flash: flash["media"]["clip"])
        shutil.rmtree(out)
        second = first_with(flashes, lambda flash: flash["media"]["clip"] and flash["id"] != first["id"])
        assert (out / second["media"]["clip"]).is_file()
        assert (out / second["media"]["still"]).is_file()


@pytest.mark.parametrize(("sound", "codec"), [("aac", "aac"), ("opus", "opus"), ("mulaw", None)])
def test_clips_of_a_camera_have_its_sound_where_mp4_takes_it(
    sound: str, codec: str | None, rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    server = rtsp_server(storm, "--audio", "--sound", sound)
    with watching(server.url, "--out", str(out)) as flashes:
        told = first_with(flashes, lambda flash: flash["media"]["clip"])
    assert told["media"]["note"] is None
    with av.open(str(out / told["media"]["clip"])) as clip:
        heard = [stream.codec_context.name for stream in clip.streams.audio]
        assert heard == ([] if codec is None else [codec])
        if codec is not None:
            times = [packet.pts * packet.time_base for packet in clip.demux(audio=0) if packet.size]
            length = told["media"]["clip_end_seconds"] - told["media"]["clip_start_seconds"]
            assert float(max(times) - min(times)) == pytest.approx(length, abs=1.5)
