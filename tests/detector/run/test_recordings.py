"""What a replay is told to watch."""

from pathlib import Path

import numpy as np
import pytest

from detector.run.recordings import NoVideoFound, find_videos, join_segments
from helpers.media import Clip, make_clip
from stream import CaptureOptions, load_opencv


def images(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    _, data = load_opencv().imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(data.tobytes())


def test_a_folder_with_many_images_is_one_recording_beside_the_videos(tmp_path: Path) -> None:
    images(tmp_path / "sky", 10)
    images(tmp_path / "snapshots", 9)
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert [one.name for one in find_videos([tmp_path])] == ["a.mp4", "sky"]


def test_a_folder_of_images_that_is_named_is_one_recording(tmp_path: Path) -> None:
    images(tmp_path / "sky", 12)
    (recording,) = find_videos([tmp_path / "sky"])
    assert recording.source == tmp_path / "sky"
    assert recording.name == "sky"


def test_the_stills_of_an_earlier_run_are_no_recording(tmp_path: Path) -> None:
    images(tmp_path / "stills", 30)
    (tmp_path / "flashes.jsonl").write_text("")
    with pytest.raises(NoVideoFound):
        find_videos([tmp_path])


def test_what_is_left_out_of_a_folder_is_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for name in ("a.mp4", "a.srt", "b.txt", "c.jpg", "d.xml", "e.json", "f.log", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    find_videos([tmp_path])
    assert "6 files are no video and left out: a.srt, b.txt, c.jpg, d.xml, e.json and 1 more" in caplog.text


def test_urls_and_standard_input_are_recordings_without_their_secrets() -> None:
    found = find_videos(["https://me:secret@host/night/storm.mp4?token=abc", "-"])
    assert [one.name for one in found] == ["storm.mp4", "standard input"]
    assert "secret" not in str(found[0].path)


def test_an_animated_webp_is_a_recording_and_a_still_one_is_not(tmp_path: Path) -> None:
    cv2 = load_opencv()
    animation = cv2.Animation()
    animation.frames = [np.full((36, 64, 3), 9 * number, np.uint8) for number in range(3)]
    animation.durations = [40] * 3
    assert cv2.imwriteanimation(str(tmp_path / "a.webp"), animation)
    cv2.imwrite(str(tmp_path / "b.webp"), animation.frames[0])
    assert [one.name for one in find_videos([tmp_path])] == ["a.webp"]


def test_segments_that_follow_each_other_by_their_times_or_numbers_are_joined(tmp_path: Path) -> None:
    clip = Clip(seconds=1, size=(64, 36))
    names = ["a_20261122_212900.mp4", "a_20261122_212901.mp4", "a_20261122_212930.mp4", "rec1.mp4", "rec2.mp4", "x.mp4"]
    for name in names:
        make_clip(tmp_path / name, clip)
    joined = join_segments(find_videos([tmp_path]), CaptureOptions())
    assert [(one.name, [part.name for part in one.parts]) for one in joined] == [
        (names[0], names[:2]),
        (names[2], []),
        ("rec1.mp4", ["rec1.mp4", "rec2.mp4"]),
        ("x.mp4", []),
    ]
