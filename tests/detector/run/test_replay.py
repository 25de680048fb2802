"""A run over many files: what one of them does to us never keeps the next from being watched."""

import logging
from pathlib import Path
from threading import Event

import pytest

from detector.errors import OutputError
from detector.pipeline import SourceDetector
from detector.run.replay import Recording, ReplayOptions, replay_files
from helpers.media import Clip, make_clip
from stream import CaptureOptions, Video


class Watched:
    """Hears of the progress, and stands for the detector: it fails in the midst of files called bad."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.frames: dict[str, int] = {}
        self.finished: list[str] = []

    def detector(self, camera: str, name: str, video: Video) -> "Watched":
        del camera, video
        self.name = name
        self.frames[name] = 0
        return self

    def push(self, frame: object) -> None:
        del frame
        self.frames[self.name] += 1
        if self.name.startswith("bad") and self.frames[self.name] > 5:
            raise self.failure

    def finish(self) -> None:
        self.finished.append(self.name)

    def begin(self, path: Path, duration_seconds: float | None) -> None: ...

    def advance(self, seconds: float) -> None: ...

    def end(self, problem: str | None) -> None: ...


@pytest.fixture
def files(tmp_path: Path) -> list[Recording]:
    names = ("a.mp4", "bad.mp4", "c.mp4")
    return [Recording(make_clip(tmp_path / name, Clip(seconds=0.4, size=(64, 64))), name) for name in names]


def replay(files: list[Recording], watched: Watched) -> tuple[str, ...]:
    def detector_of(camera: str, name: str, video: Video) -> SourceDetector:
        return watched.detector(camera, name, video)  # type: ignore[return-value]

    return replay_files(files, detector_of, ReplayOptions(CaptureOptions()), watched, Event()).problems


def test_an_unexpected_failure_is_that_of_its_file_and_the_next_is_watched(
    files: list[Recording], caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(RuntimeError("surprise\nof rtsp://me:secret@cam/"))
    caplog.set_level(logging.DEBUG, logger="detector.run.replay")
    (problem,) = replay(files, watched)
    assert watched.frames == {"a.mp4": 10, "bad.mp4": 6, "c.mp4": 10}
    assert watched.finished == ["a.mp4", "bad.mp4", "c.mp4"]  # what was found before the failure is reported
    assert "bad.mp4: cannot be watched any further: RuntimeError: surprise" in problem
    assert "secret" not in problem
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.DEBUG]


@pytest.mark.parametrize("failure", [OutputError("the disk is full"), BrokenPipeError(), OSError(28, "full")])
def test_what_ends_the_results_ends_the_run(files: list[Recording], failure: Exception) -> None:
    watched = Watched(failure)
    with pytest.raises(type(failure)):
        replay(files, watched)
    assert "c.mp4" not in watched.frames
