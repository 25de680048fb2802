"""Damage in recordings: which frames are marked, whatever the decoder gives out."""

import gc
from dataclasses import replace
from pathlib import Path

import av
import pytest

from helpers.media import Clip, make_clip
from stream import CaptureOptions, OpenError, VideoError, open_video
from stream.capture.ffmpeg_log import complaints
from stream.capture.files.jpeg_tables import JpegTables

CLIP = Clip(seconds=4.0, size=(320, 180))
B_FRAMES = {"x264-params": "scenecut=0:bframes=3:b-adapt=0"}
JPEG = Clip(seconds=2.0, size=(320, 180), codec="mjpeg", pixels="yuvj420p", full_range=True, options={"qmax": "4"})


def packets_of(path: Path) -> list[tuple[int, int]]:
    """(place in the file, bytes) of each video packet, in order of decoding."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def spoil(path: Path, number: int, *, at: float = 0.4) -> None:
    """Overwrite some bytes in the midst of packet `number`."""
    place, size = packets_of(path)[number]
    data = bytearray(path.read_bytes())
    start = place + int(size * at)
    data[start : start + 24] = b"\x5a" * 24
    path.write_bytes(data)


def marked(path: Path, **options: int) -> list[int]:
    with open_video(path, options=CaptureOptions(**options)) as video:
        return [frame.number for frame in video if frame.quality]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_frames_are_marked_from_the_damaged_packet_to_the_next_key_frame(threads: int, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "cut.mp4", replace(CLIP, key_seconds=1.0))
    spoil(path, 40)
    assert marked(path, file_threads=threads) == list(range(40, 50))


def test_frames_shown_before_the_damaged_one_but_made_from_it_are_marked_too(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "cut.mp4", replace(CLIP, key_seconds=1.0, options=B_FRAMES))
    with av.open(str(path)) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.size]
    ahead = next(n for n in range(30, 45) if stamps[n] > stamps[n + 1])  # shown after three that are decoded later
    spoil(path, ahead)
    shown = sorted(stamps)
    first = shown.index(min(stamps[ahead : ahead + 4]))
    assert marked(path) == list(range(first, 50))


def test_a_damaged_jpeg_marks_itself_alone(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "cut.avi", JPEG)
    spoil(path, 30)
    assert marked(path) == [30]


def test_a_flipped_bit_in_the_quantisers_of_a_jpeg_marks_it(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "cut.avi", JPEG)
    place, _ = packets_of(path)[20]
    data = bytearray(path.read_bytes())
    table = data.index(b"\xff\xdb", place)
    data[table + 6] ^= 0x40
    path.write_bytes(data)
    assert marked(path) == [20]


def test_a_change_of_quality_is_no_damage() -> None:
    def jpeg(scale: int) -> bytes:
        return b"\xff\xd8\xff\xdb\x00\x43\x00" + bytes(scale + n for n in range(64)) + b"\xff\xda\x00\x02"

    tables = JpegTables()
    assert [tables.are_damaged(jpeg(scale)) for scale in (3, 3, 5, 5, 3)] == [False] * 5


def test_one_damaged_jpeg_does_not_mark_the_next(tmp_path: Path) -> None:
    sound = b"\xff\xd8\xff\xdb\x00\x43\x00" + bytes(range(64)) + b"\xff\xda\x00\x02"
    spoiled = sound.replace(b"\x10\x11", b"\x50\x11")
    tables = JpegTables()
    assert [tables.are_damaged(data) for data in (sound, spoiled, sound, sound)] == [False, True, False, False]


def test_a_recording_of_which_most_frames_are_damaged_is_called_so_whatever_was_decoded(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "cut.mp4", replace(CLIP, key_seconds=0.4))
    for number in range(0, 100, 10):
        spoil(path, number)
    frames = []
    with open_video(path) as video, pytest.raises(VideoError, match=r"damaged file: \d+% of 100 frames"):
        frames.extend(video)
    assert len(frames) == 100


def test_frames_too_large_for_memory_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "large.avi", replace(JPEG, seconds=0.2, size=(640, 360)))
    with pytest.raises(OpenError, match=r"640 x 360 pixels, more than capture\.max_pixels = 200000"):
        open_video(path, options=CaptureOptions(max_pixels=200_000))


def test_frames_too_small_to_judge_are_refused_with_their_size(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "small.mkv", replace(JPEG, seconds=0.2, size=(640, 2), codec="ffv1", pixels="yuv420p", options={})
    )
    with pytest.raises(OpenError, match="640 x 2 pixels, too small to judge"):
        open_video(path)


def test_a_video_that_nobody_closes_leaves_no_listener_behind(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "cut.mp4", replace(CLIP, seconds=0.2))
    before = complaints.users
    video = open_video(path)
    assert len(list(video)) == 5
    assert complaints.users == before + 1
    del video
    gc.collect()
    assert complaints.users == before


def test_two_videos_at_once_keep_their_damage_apart(tmp_path: Path) -> None:
    sound = make_clip(tmp_path / "sound.mp4", replace(CLIP, key_seconds=1.0))
    spoiled = make_clip(tmp_path / "spoiled.mp4", replace(CLIP, key_seconds=1.0))
    spoil(spoiled, 40)
    with open_video(sound) as one, open_video(spoiled) as other:
        pairs = [(bool(first.quality), bool(second.quality)) for first, second in zip(one, other, strict=True)]
    assert [number for number, (first, _) in enumerate(pairs) if first] == []
    assert [number for number, (_, second) in enumerate(pairs) if second] == list(range(40, 50))
