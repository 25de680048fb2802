"""Clips as files: the index first, when it was taken, and re-encoded where browsers would not play it."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.media import Clip as Recording
from helpers.media import make_clip
from stream import CaptureOptions, Clip, VideoError, open_video, reencode_clip


def cut(path: Path, options: CaptureOptions, utc_offset: float | None = None) -> Clip:
    """The clip of 1 to 2 s of the recording at `path`."""
    with open_video(path, options=options, history_seconds=6.0) as video:
        clip = next(video.cut(1.0, 2.0, utc_offset) for frame in video if frame.seconds >= 2.2)
    assert clip is not None
    return clip


def boxes(data: bytes) -> list[str]:
    """The kinds of an MP4's outermost boxes, in order."""
    found, place = [], 0
    while place < len(data):
        found.append(data[place + 4 : place + 8].decode())
        place += int.from_bytes(data[place : place + 4], "big")
    return found


def test_a_clip_has_its_index_first_and_says_when_it_was_taken(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = make_clip(tmp_path / "a.mp4", Recording(seconds=3.0, size=(320, 180), key_seconds=0.8))
    clip = cut(path, capture_options, 1_800_000_000.0)
    kinds = boxes(clip.data)
    assert kinds.index("moov") < kinds.index("mdat")
    with av.open(io.BytesIO(clip.data)) as container:
        assert container.metadata["creation_time"] == "2027-01-15T08:00:00.000000Z", "the key frame at 0.8 s"
        length = sum(1 for _ in container.decode(video=0)) / 25
    assert (clip.start_seconds, clip.created_utc) == (pytest.approx(0.8), pytest.approx(1_800_000_000.8))
    assert clip.end_seconds == pytest.approx(2.0, abs=0.05)
    assert clip.end_seconds - clip.start_seconds == pytest.approx(length, abs=0.02)


@pytest.mark.parametrize(
    "coded",
    [Recording(codec="mpeg4"), Recording(codec="mjpeg", pixels="yuvj420p"), Recording(codec="mpeg4", size=(321, 181))],
    ids=["mpeg4", "mjpeg", "odd size"],
)
def test_what_browsers_do_not_play_is_re_encoded_frame_for_frame(
    coded: Recording, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = make_clip(tmp_path / "a.avi", Recording(**{**vars(coded), "seconds": 3.0, "flashes": (30,)}))
    clip = cut(path, capture_options)
    assert clip.container == "mkv"
    made = reencode_clip(clip)
    assert (made.container, made.codec, made.start_seconds) == ("mp4", "h264", clip.start_seconds)
    kinds = boxes(made.data)
    assert kinds.index("moov") < kinds.index("mdat")
    light = []
    for one in (clip, made):
        with av.open(io.BytesIO(one.data)) as container:
            light.append({frame.time: frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)})
    assert list(light[0]) == pytest.approx(list(light[1]), abs=0.002)
    assert np.array(list(light[0].values())) == pytest.approx(np.array(list(light[1].values())), abs=2.0)


def test_a_clip_that_does_not_decode_is_said_to(tmp_path: Path, capture_options: CaptureOptions) -> None:
    clip = cut(make_clip(tmp_path / "a.avi", Recording(codec="mpeg4", seconds=3.0)), capture_options)
    with pytest.raises(VideoError, match="a clip of mpeg4 could not be re-encoded"):
        reencode_clip(Clip(clip.data[:200], "mkv", 0.0, 1.0, "mpeg4"))
