"""Segments of a recorder, read as one recording."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.media import Clip, counter, make_clip
from stream import CaptureOptions, JoinedVideo, VideoError, gap_after

CLIP = Clip(seconds=1, size=(320, 180))


def segments(folder: Path, names: list[str], clip: Clip = CLIP) -> list[Path]:
    return [make_clip(folder / name, clip) for name in names]


def test_time_numbers_and_epoch_go_on_across_a_cut(tmp_path: Path, capture_options: CaptureOptions) -> None:
    parts = segments(tmp_path, ["1.mp4", "2.mp4", "3.mp4"])
    with JoinedVideo(parts, "roof", capture_options, start_utc=100.0) as video:
        frames = list(video)
    assert [f.number for f in frames] == list(range(75))
    assert [f.seconds for f in frames] == pytest.approx([n * 0.04 for n in range(75)], abs=0.002)
    assert [counter(f.levels(f.luma)) for f in frames] == list(range(25)) * 3
    assert {f.epoch for f in frames} == {0}
    assert [f.utc for f in frames] == pytest.approx([100 + n * 0.04 for n in range(75)], abs=0.002)
    assert {f.camera for f in frames} == {"roof"}


def test_a_gap_by_the_times_in_the_names_is_kept_and_begins_an_epoch(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    parts = segments(tmp_path, ["20261122_212900.mp4", "20261122_212901.mp4", "20261122_212930.mp4"])
    with JoinedVideo(parts, "roof", capture_options) as video:
        frames = list(video)
    assert [f.seconds for f in frames[::25]] == pytest.approx([0, 1, 30], abs=0.002)
    assert [f.epoch for f in frames[::25]] == [0, 0, 1]


def test_another_size_begins_an_epoch(tmp_path: Path, capture_options: CaptureOptions) -> None:
    parts = [make_clip(tmp_path / "1.mp4", CLIP), make_clip(tmp_path / "2.mp4", replace(CLIP, size=(480, 270)))]
    with JoinedVideo(parts, "roof", capture_options) as video:
        assert [f.epoch for f in video] == [0] * 25 + [1] * 25


def test_a_segment_that_cannot_be_read_is_named_and_the_next_ones_are_read(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    parts = segments(tmp_path, ["1.mp4", "2.mp4", "3.mp4"])
    parts[1].write_bytes(b"no video")
    seen = []
    with JoinedVideo(parts, "roof", capture_options) as video, pytest.raises(VideoError, match=r"2\.mp4"):
        seen.extend(video)
    assert len(seen) == 50
    assert [f.epoch for f in seen] == [0] * 25 + [1] * 25
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(seen))


def test_a_clip_has_the_time_of_the_whole_recording(tmp_path: Path, capture_options: CaptureOptions) -> None:
    with JoinedVideo(segments(tmp_path, ["1.mp4", "2.mp4"]), "roof", capture_options, history_seconds=1.0) as video:
        for frame in video:
            if frame.number == 45:
                break
        clip = video.cut(1.2, 1.4)
    assert clip is not None
    assert clip.start_seconds == pytest.approx(1.0, abs=0.01)


def test_times_in_names_tell_what_is_missing_between_segments() -> None:
    first = Path("cam_20261122_212900.mp4")
    assert gap_after(first, 60.0, Path("cam_20261122_213001.mp4")) == 0.0
    assert gap_after(first, 60.0, Path("cam_20261122_213500.mp4")) == 300.0
    assert gap_after(Path("a1.mp4"), 60.0, Path("a2.mp4")) is None
    assert gap_after(first, None, Path("cam_20261122_213001.mp4")) is None
