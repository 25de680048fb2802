"""Decoding by hardware, which must fall back where there is none, and with less work."""

import random
import subprocess
import sys
import time
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from helpers.media import Clip, make_clip
from helpers.web import web_server
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import Camera, CaptureOptions, open_video
from stream.capture.decoding import hardware_kind
from stream.capture.luma import LumaReader

SHORT = Clip(seconds=1.0, size=(320, 180), flashes=(12,))

without_hardware = pytest.mark.skipif(hardware_kind("auto") != "none", reason="hardware decodes here")


def lumas(path: Path, options: CaptureOptions) -> list[np.ndarray]:
    with open_video(path, options=options) as video:
        return [frame.luma.copy() for frame in video]


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flash in rain, coded so coarsely that the filter of blocks has work to do; key frames 1 s apart."""
    path = tmp_path_factory.mktemp("storm") / "storm.mp4"
    plan = Plan(seconds=4.0, size=(640, 360), flashes=(FlashPlan(kind="sheet", at=2.5),), seed=5, rain=0.3)
    write_clip(Scene(plan), path, ClipFormat(codec="libx264", bit_rate=250_000, key_seconds=1.0))
    return path


@without_hardware
@pytest.mark.parametrize("kind", ["auto", "cuda", "qsv", "drm"])
def test_where_no_hardware_decodes_the_cpu_gives_the_same_frames(
    kind: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = make_clip(tmp_path / "clip.mp4", SHORT)
    asked = msgspec.structs.replace(capture_options, hwaccel=kind)
    for one, other in zip(lumas(path, asked), lumas(path, capture_options), strict=True):
        assert np.array_equal(one, other)


@without_hardware
@pytest.mark.parametrize(("kind", "level"), [("cuda", "WARNING"), ("auto", "INFO")])
def test_what_keeps_hardware_from_decoding_is_said_once_for_all_files(kind: str, level: str, storm: Path) -> None:
    program = (
        "import logging, sys; from stream import CaptureOptions, open_video\n"
        "logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')\n"
        f"for _ in range(2):\n  with open_video(sys.argv[1], options=CaptureOptions(hwaccel={kind!r})): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(storm)], check=True, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if "hardware" in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"{level} no hardware decodes here, the CPU does (capture.hwaccel = {kind}; cuda: ")
    assert "libcuda" in lines[0] or "without it" in lines[0]  # names what is missing
    assert ("qsv: " in lines[0]) == (kind == "auto")


@without_hardware
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_replay_with_hwaccel_finds_the_flash_without_hardware_and_says_so_once(
    jobs: str, storm: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "twin.mp4"
    twin.write_bytes(storm.read_bytes())
    command = [sys.executable, "-m", "detector", "replay", str(storm), str(twin), "--json", "--jobs", jobs]
    command += ["--hwaccel", "cuda", "--verifier", "photometric"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.count('"confirmed"') >= 2
    assert done.stderr.count("no hardware decodes here, the CPU does") == 1


@without_hardware
def test_a_camera_is_watched_without_hardware(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = make_clip(tmp_path / "clip.ts", Clip(seconds=2.0, size=(320, 180)))
    with web_server({"/live": path.read_bytes()}) as server:
        options = msgspec.structs.replace(capture_options, hwaccel="auto", fast=True)
        with Camera("roof", f"{server.address}/live", options) as camera:
            frames = [frame for frame, _ in zip(camera, range(40), strict=False)]
    assert len(frames) == 40
    assert [frame.number for frame in frames if frame.rebased] == [25]


@pytest.mark.parametrize("form", ["nv12", "p010le"])
def test_frames_as_hardware_gives_them_are_read_in_place(form: str) -> None:
    grey = av.VideoFrame.from_ndarray(np.full((64, 96), 77, np.uint8), format="gray")
    frame = grey.reformat(format=form, dst_color_range=1)
    luma, black, white = LumaReader("h264").read(frame)
    memory = np.frombuffer(memoryview(frame.planes[0]), np.uint8)
    assert np.shares_memory(luma, memory)
    assert (luma.shape, white > black) == ((64, 96), True)


def test_fast_leaves_out_the_filter_of_blocks_and_keeps_every_frame_close(
    storm: Path, capture_options: CaptureOptions
) -> None:
    fast = msgspec.structs.replace(capture_options, fast=True)
    whole, quick = lumas(storm, capture_options), lumas(storm, fast)
    assert len(whole) == len(quick)
    apart = [float(np.abs(one.astype(int) - other).mean()) for one, other in zip(whole, quick, strict=True)]
    assert max(apart) > 0.05
    assert max(apart) < 4.0


def test_fast_takes_less_of_the_cpu(storm: Path, capture_options: CaptureOptions) -> None:
    fast = msgspec.structs.replace(capture_options, fast=True, file_threads=1)
    whole = msgspec.structs.replace(capture_options, file_threads=1)
    best = {True: 1e9, False: 1e9}
    for _ in range(5):
        for options in (fast, whole):
            began = time.process_time()
            lumas(storm, options)
            best[options.fast] = min(best[options.fast], time.process_time() - began)
    assert best[True] < 0.97 * best[False], best


def test_fast_finds_the_flash_at_the_same_frame(storm: Path, capfd: pytest.CaptureFixture[str]) -> None:
    starts = []
    for words in ([], ["--fast"]):
        command = [
            sys.executable,
            "-m",
            "detector",
            "replay",
            str(storm),
            "--json",
            "--verifier",
            "photometric",
            *words,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        starts.append([line.partition('"start_seconds":')[2].partition(",")[0] for line in done.stdout.splitlines()])
    assert starts[0] == starts[1]
    assert len(starts[0]) >= 2


def test_fast_names_the_key_frames_at_which_its_drift_ends(storm: Path, capture_options: CaptureOptions) -> None:
    for fast, expected in ((True, [0.96, 1.92, 2.88, 3.84]), (False, [])):
        options = msgspec.structs.replace(capture_options, fast=fast)
        with open_video(storm, options=options) as video:
            assert [frame.seconds for frame in video if frame.rebased] == pytest.approx(expected)


_LEAVE_EARLY = """
import itertools, sys
import av, av.logging
from stream import decoder_threads
from stream.capture.ffmpeg_log import raise_log_level

raise_log_level(av.logging.INFO)
for number in range(60):
    with av.open(sys.argv[1]) as container, decoder_threads(container.streams.video[0]):
        for _ in itertools.islice(container.decode(video=0), 3 + number % 20):
            pass
print("left", number + 1, "times")
"""


def test_a_damaged_clip_may_be_left_while_its_decoder_threads_complain(storm: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    data, dice = bytearray(storm.read_bytes()), random.Random(1)
    first = data.index(b"mdat") + 2000
    for _ in range(len(data) // 200):
        data[dice.randrange(first, len(data) * 9 // 10)] ^= 1 << dice.randrange(8)
    clip.write_bytes(data)
    words = [sys.executable, "-c", _LEAVE_EARLY, str(clip)]
    done = subprocess.run(words, check=False, timeout=60, capture_output=True, text=True)
    assert done.stdout == "left 60 times\n", done.stderr
