"""A part of a recording: its frames have the times that they have when all of it is read."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.media import Clip, make_clip
from stream import CaptureOptions, Part, Video, VideoError, open_video

LONG = Clip(seconds=12.0, size=(320, 180), key_seconds=1.0)
KINDS = {
    "h264.mp4": LONG,
    "b-frames.mp4": replace(LONG, options={"x264-params": "bframes=3:b-adapt=0"}),
    "h264.mkv": LONG,
    "h264.ts": LONG,
    "hevc.mp4": replace(LONG, codec="libx265", options={"preset": "ultrafast", "x265-params": "log-level=none"}),
    "mjpeg.mov": replace(LONG, codec="mjpeg", pixels="yuvj420p", full_range=True),
}
START = 1_790_000_000.0


def times(source: Path | Part, options: CaptureOptions) -> list[tuple[float, float | None, float]]:
    with open_video(source, name="a", options=options, start_utc=START) as video:
        return [(frame.seconds, frame.utc, float(frame.luma.mean())) for frame in video]


def moved(made: Path, path: Path) -> Path:
    """The recording with sound that begins 0.4 s before its first frame."""
    sound = ["-f", "lavfi", "-i", "sine=frequency=300:duration=12"]
    words = [*sound, "-itsoffset", "0.4", "-i", made, "-map", "1:v", "-map", "0:a", "-c:v", "copy", path]
    subprocess.run(["ffmpeg", "-v", "error", *map(str, words)], check=True)
    return path


def test_a_part_of_what_is_in_a_store_is_that_of_the_file(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = make_clip(tmp_path / "a.mp4", LONG)
    stored, here = (times(Part(address, 6.3, 8.0), capture_options) for address in (f"local://{path}", str(path)))
    assert stored == here


@pytest.mark.parametrize("with_sound", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_part_begins_with_a_key_frame_and_has_the_times_of_the_whole(
    kind: str, with_sound: bool, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = make_clip(tmp_path / kind, KINDS[kind])
    if with_sound:
        path = moved(path, tmp_path / f"sound-{kind}")
    whole = times(path, capture_options)
    part = times(Part(str(path), 6.3, 8.0, whole[0][0]), capture_options)
    first = whole.index(part[0])
    assert part == whole[first : first + len(part)]
    assert 4.0 < part[0][0] <= 6.3 + 1.0  # a transport stream has no index: it is searched
    assert part[-2][0] < 8.0 <= part[-1][0]
    rest = times(Part(str(path), 6.3, first=whole[0][0]), capture_options)
    assert rest == whole[first:]


def test_what_has_no_times_or_other_ones_is_not_divisible(tmp_path: Path, capture_options: CaptureOptions) -> None:
    divisible = {}
    for name in ("a.mp4", "a.h264", "a.avi"):
        with open_video(make_clip(tmp_path / name, replace(LONG, seconds=1.0)), options=capture_options) as video:
            assert isinstance(video, Video)
            divisible[name] = video.divisible
    assert divisible == {"a.mp4": True, "a.h264": False, "a.avi": False}


def test_time_stamps_that_begin_anew_end_a_part(tmp_path: Path, capture_options: CaptureOptions) -> None:
    one = make_clip(tmp_path / "one.ts", replace(LONG, seconds=3.0))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    assert len(times(joined, capture_options)) == 150
    with pytest.raises(VideoError, match="its time stamps begin anew or jitter about 3"):
        times(Part(str(joined)), capture_options)
