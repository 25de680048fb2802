"""A recording that is still being written is read while it grows."""

import json
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from detector.cli.main import main
from helpers.media import Clip, make_clip
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import CaptureOptions, Frame, GrowingFile, VideoError, open_video

LIMIT_SECONDS = 20.0
PATIENCE_SECONDS = 2.0
CLIP = Clip(seconds=8.0, size=(320, 180))


@pytest.mark.parametrize("kind", ["ts", "mkv"])
def test_frames_come_before_the_file_is_whole_and_each_once(
    kind: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    whole = make_clip(tmp_path / f"whole.{kind}", CLIP).read_bytes()
    path = tmp_path / f"growing.{kind}"
    path.write_bytes(b"")
    seen: list[Frame] = []
    first = threading.Event()

    def watch() -> None:
        with open_video(GrowingFile(path, PATIENCE_SECONDS, lambda: False), options=capture_options) as video:
            for frame in video:
                seen.append(frame)
                first.set()

    reader = threading.Thread(target=watch)
    reader.start()
    with path.open("ab", buffering=0) as file:
        file.write(whole[: 2 * len(whole) // 3])
        assert first.wait(LIMIT_SECONDS)
        file.write(whole[2 * len(whole) // 3 :])
    reader.join(LIMIT_SECONDS)
    assert [frame.number for frame in seen] == list(range(CLIP.frames))


def test_ctrl_c_ends_the_wait_for_more_and_reports_what_was_found(tmp_path: Path) -> None:
    flashes = (FlashPlan(kind="sheet", at=1.5), FlashPlan(kind="sheet", at=5.0))
    write_clip(Scene(Plan(seconds=8.0, size=(320, 180), flashes=flashes)), tmp_path / "whole.mkv", ClipFormat())
    whole = (tmp_path / "whole.mkv").read_bytes()
    path = tmp_path / "growing.mkv"
    path.write_bytes(whole[: 2 * len(whole) // 3])
    command = [sys.executable, "-m", "detector", "replay", str(path), "--follow", "600", "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = [json.loads(process.stdout.readline())["data"] for _ in range(2)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        said = process.stderr.read()
    assert process.returncode == 0
    assert "breaks off" not in said
    assert [flash["state"] for flash in told] == ["detected", "confirmed"]
    assert told[0]["id"] == told[1]["id"]


def test_a_file_that_has_ended_is_not_waited_for_again(tmp_path: Path) -> None:
    path = tmp_path / "done.ts"
    path.write_bytes(b"all")
    asked: list[bool] = []
    file = GrowingFile(path, 0.05, lambda: bool(asked.append(True)))
    assert (file.read(8), file.read(8)) == (b"all", b"")
    waits = len(asked)
    assert [file.read(8) for _ in range(5)] == [b""] * 5
    assert len(asked) == waits
    file.close()


def test_a_file_to_which_nothing_is_added_any_more_ends(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = make_clip(tmp_path / "whole.ts", CLIP)
    assert main(["replay", str(path), "--follow", "0.3"]) == 0
    assert "in 0:00:07 of video from 1 file" in capfd.readouterr().err


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}])
def test_an_mp4_that_is_complete_already_is_watched_wherever_its_index_is(
    options: dict[str, str], tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = make_clip(tmp_path / "whole.mp4", replace(CLIP, container_options=options))
    with open_video(GrowingFile(path, 0.3, lambda: False), options=capture_options) as video:
        assert [frame.number for frame in video] == list(range(CLIP.frames))


def test_an_mp4_that_is_completed_while_it_is_followed_says_what_to_record_instead(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    whole = make_clip(tmp_path / "whole.mp4", CLIP).read_bytes()
    path = tmp_path / "growing.mp4"
    path.write_bytes(whole[: len(whole) // 2])

    def complete() -> bool:  # asked before each read
        path.write_bytes(whole)
        return False

    with (
        pytest.raises(VideoError, match=r"record to \.ts or \.mkv"),
        open_video(GrowingFile(path, 0.3, complete), options=capture_options) as video,
    ):
        list(video)


@pytest.mark.parametrize("wrong", ["0", "-3", "nan", "soon"])
def test_a_wait_that_is_no_time_is_wrong_use(wrong: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", "storm.ts", f"--follow={wrong}"])
    assert ended.value.code == 2
    assert "--follow" in capfd.readouterr().err


def test_a_file_to_follow_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "/nowhere/storm.ts", "--follow", "0.3"]) == 1
    assert "/nowhere/storm.ts: no such file" in capfd.readouterr().err.lower()
