"""Times of frames where the stamps of packets are those of decoding, jitter, or contradict the stated length."""

import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from helpers.media import Clip, counter, make_clip
from stream import CaptureOptions, Frame, VideoError, open_video
from stream.capture.timing.timeline import MonotonicTimeline

CLIP = Clip(
    seconds=4,
    size=(320, 180),
    flashes=(50,),
    options={"x264-params": "bframes=3:b-adapt=0:b-pyramid=normal:scenecut=0"},
)
FRAME = 0.04


def copied(source: Path, path: Path, stamp: Callable[["av.Packet[av.VideoStream]", int], int]) -> Path:
    """Return `source` at `path` with other stamps: `stamp(packet, number)` in 1/1000 s, in the order of decoding."""
    with av.open(str(source)) as container, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(p for p in container.demux(video=0) if p.size):
            packet.pts, packet.dts, packet.duration = stamp(packet, number), number * 40, 40
            packet.stream = stream
            packet.time_base = Fraction(1, 1000)
            output.mux(packet)
    return path


def read(path: Path, options: CaptureOptions) -> list[Frame]:
    with open_video(path, options=options) as video:
        return list(video)


def remuxed(source: Path, path: Path, *options: str) -> Path:
    """Return `source` copied to `path` by FFmpeg, without decoding."""
    subprocess.run(["ffmpeg", "-v", "error", *options, "-i", source, "-c", "copy", *_ASF, path], check=True)
    return path


_ASF = ("-bsf:v", "h264_mp4toannexb")


@pytest.mark.parametrize("kind", ["asf", "matroska", "matroska of avi"])
def test_b_frames_with_the_stamps_of_decoding_are_shown_at_their_own_times(
    kind: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    right = make_clip(tmp_path / "right.mp4", CLIP)
    if kind == "asf":
        path = remuxed(right, tmp_path / "a.asf")
    elif kind == "matroska":
        path = copied(right, tmp_path / "a.mkv", lambda _, number: number * 40)
    else:
        path = remuxed(make_clip(tmp_path / "right.avi", CLIP), tmp_path / "a.mkv", "-fflags", "+genpts")
    frames = read(path, capture_options)
    assert [counter(f.levels(f.luma)) for f in frames] == list(range(CLIP.frames))
    assert [f.seconds for f in frames] == pytest.approx([n * FRAME for n in range(CLIP.frames)], abs=0.025)
    assert {f.epoch for f in frames} == {0}


def test_a_clip_cut_from_a_file_with_the_stamps_of_decoding_holds_the_frames_asked_for(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = copied(make_clip(tmp_path / "right.mp4", CLIP), tmp_path / "a.mkv", lambda _, number: number * 40)
    with open_video(path, options=capture_options, history_seconds=3.0) as video:
        for frame in video:
            if frame.number == 85:
                break
        clip = video.cut(2.0, 2.5)
    assert clip is not None
    (tmp_path / "cut.mp4").write_bytes(clip.data)
    cut = read(tmp_path / "cut.mp4", capture_options)
    assert clip.start_seconds == pytest.approx(2.0)
    assert [counter(f.levels(f.luma)) for f in cut][:10] == list(range(50, 60))


def test_a_decoder_that_swallows_frames_costs_no_time_where_stamps_are_those_of_decoding(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = copied(make_clip(tmp_path / "right.mp4", CLIP), tmp_path / "a.mkv", lambda _, number: number * 40)
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data) // 2, 500):
        data[place : place + 20] = bytes(20)
    path.write_bytes(data)
    frames = read(path, capture_options)
    last = frames[-1]
    assert last.seconds == pytest.approx(counter(last.levels(last.luma)) * FRAME, abs=0.09)


def test_stamps_that_jitter_by_50_ms_never_gain_time(tmp_path: Path, capture_options: CaptureOptions) -> None:
    dice = random.Random(5)
    path = copied(
        make_clip(tmp_path / "right.mp4", replace(CLIP, seconds=8)),
        tmp_path / "a.ts",
        lambda packet, _: round(1000 * packet.pts * packet.time_base) + 400 + dice.randrange(-50, 51),
    )
    frames = read(path, capture_options)
    assert [counter(f.levels(f.luma)) for f in frames] == list(range(200))
    assert max(abs(f.seconds - f.number * FRAME) for f in frames[25:]) <= 0.06
    assert {f.epoch for f in frames} == {0}


@pytest.mark.parametrize("first", [-0.05, 0.0, 0.05])
def test_stamps_that_jitter_for_an_hour_stay_within_60_ms_of_the_truth(first: float) -> None:
    dice, clock = random.Random(11), MonotonicTimeline(jump_seconds=1.0)
    jitter = [first, *(dice.uniform(-0.05, 0.05) for _ in range(90_000))]
    errors = [clock.place(10 + n * FRAME + late, FRAME) - n * FRAME for n, late in enumerate(jitter)]
    assert max(abs(error) for error in errors[25:]) <= 0.06
    assert max(abs(error) for error in errors) <= 0.1
    assert clock.epoch == 0


def test_a_rate_that_is_stated_wrong_gains_no_time_where_stamps_jitter() -> None:
    dice, clock = random.Random(3), MonotonicTimeline(jump_seconds=1.0)
    errors = [clock.place(n * FRAME + dice.uniform(-0.05, 0.05), 1 / 30) - n * FRAME for n in range(20_000)]
    assert max(abs(error) for error in errors[500:]) <= 0.1


def test_frames_for_longer_than_is_stated_are_said(
    tmp_path: Path, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip(tmp_path / "a.mkv", replace(CLIP, options={}))
    data = path.read_bytes()
    stated = next(text for text in (b"00:00:04.000000000", b"00:00:03.960000000") if text in data)
    path.write_bytes(data.replace(stated, b"00:00:02.000000000"))
    assert len(read(path, capture_options)) == 100
    assert "holds 4.00 s by its time stamps, but 2.00 s are stated" in caplog.text


def test_frames_for_as_long_as_stated_are_not_remarked_on(
    tmp_path: Path, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.mkv", "a.mp4", "a.ts", "a.avi"):
        assert len(read(make_clip(tmp_path / name, CLIP), capture_options)) == 100
    assert "stated" not in caplog.text


def test_a_recording_shorter_than_stated_still_breaks_off(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = make_clip(tmp_path / "a.mkv", replace(CLIP, options={}))
    data = path.read_bytes()
    stated = next(text for text in (b"00:00:04.000000000", b"00:00:03.960000000") if text in data)
    path.write_bytes(data.replace(stated, b"00:00:09.000000000"))
    with pytest.raises(VideoError, match="breaks off after"):
        read(path, capture_options)
