"""What came of the files of a run that are watched at once: told file by file, in their order."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from detector.events import Flash
from detector.output.files import open_private
from detector.output.report.curves import CURVES, FLASH_CURVES
from detector.run.job_worker import Done
from detector.run.parts import rest_of
from detector.run.recordings import Recording
from detector.run.replay import Outcome

_log = logging.getLogger(__name__)


class JobsProgress(Protocol):
    """Shows how the replay of many files at once goes on; `number` is the file's place in the run."""

    def begin(self, number: int, duration_seconds: float | None) -> None:
        """Show that a file starts."""
        ...

    def advance(self, number: int, seconds: float) -> None:
        """Show how far the file has been watched: `seconds` on its own clock."""
        ...

    def end(self, number: int, problem: str | None) -> None:
        """Show that the file is done, or broke off for the reason given."""
        ...


@dataclass(frozen=True, slots=True)
class JobHooks:
    """What is done with results; all are called in the thread that replays, files in order, but `first_opened`.

    Attributes:
        first_opened: called before anything is written, once a file could be opened.
        begun: a recording was watched, as this camera.
        flash: a revision of a flash.
        finished: a recording was watched to its end, or why it was not.
    """

    first_opened: Callable[[], None]
    begun: Callable[[Recording, str], None]
    flash: Callable[[Flash], None]
    finished: Callable[[Recording, str | None], None]


@dataclass(slots=True)
class FileResult:
    """What is known of one recording, or of a part of one, until it is told.

    Attributes:
        number: its place in the run.
        recording: it.
        tries: how often it was begun.
        cameras: as which it was watched.
        flashes: what was found, in order.
        curves: its light curves, by the name of their file.
        problem: why it was not watched to its end.
        over: whether nothing more will be known of it.
        whole: whether it was not stopped.
        left_out: whether it is told with the part before it.
    """

    number: int
    recording: Recording
    tries: int = 0
    cameras: list[str] = field(default_factory=list)
    flashes: list[Flash] = field(default_factory=list)
    curves: dict[str, bytes] = field(default_factory=dict)
    problem: str | None = None
    over: bool = False
    whole: bool = False
    left_out: bool = False

    @property
    def in_parts(self) -> bool:
        """Whether only a part of the recording is read for it."""
        return self.recording.span is not None and self.recording.span.read is not None


def read_curves(folder: Path) -> dict[str, bytes]:
    """Return the light curves that were written into `folder`, by the name of their file."""
    found = {}
    for name in (CURVES, FLASH_CURVES):
        with suppress(FileNotFoundError):
            found[name] = (folder / name).read_bytes()
    return found


class ResultsInOrder:
    """Tells what came of files in their order, each once it and all before it are over.

    Attributes:
        files: what is known of each.
    """

    def __init__(self, recordings: Sequence[Recording], out: Path | None, hooks: JobHooks) -> None:
        """Begin with nothing known.

        Args:
            recordings: the files, in order.
            out: folder of the run, where light curves go.
            hooks: are told.
        """
        self.files = [FileResult(number, recording) for number, recording in enumerate(recordings)]
        self._untold = deque(self.files)
        self._problems: list[str] = []
        self._begun = ""
        self._problem: str | None = None
        self._out = out
        self._hooks = hooks

    def end(self, file: FileResult, done: Done) -> bool:
        """Note how a file ended.

        Times in a part that could not be watched to its end may follow from the frames before: it becomes the rest of
        its recording, of which nothing is told yet, read from the beginning, and the other parts are left out.

        Returns:
            whether it is to be watched again.
        """
        if file.left_out:
            return False
        if done.problem is None or not done.whole or not file.in_parts:
            file.over, file.problem, file.whole = True, done.problem, done.whole
            return False
        _log.warning("%s; it is watched in one, not in parts", done.problem)
        parts = [one for one in self._untold if one.recording.name == file.recording.name]
        for part in parts:
            part.left_out = part.over = part.whole = part is not file
        spans = [part.recording.span for part in parts]
        file.recording = rest_of(file.recording, min(span.start for span in spans if span is not None))
        file.cameras, file.flashes, file.curves = [], [], {}
        return True

    def tell(self) -> None:
        """Tell what is over, up to the first file that is not."""
        while self._untold and self._untold[0].over and self._untold[0].whole:
            self._tell_of(self._untold.popleft())

    def tell_rest(self) -> None:
        """Tell what is left, of files that were stopped, too."""
        for file in self._untold:
            self._tell_of(file)

    def outcome(self, *, stopped: bool) -> Outcome:
        """Return what became of the files."""
        tried = len({file.recording.name for file in self.files if file.tries > 0})
        stopped = stopped and not all(file.whole for file in self.files)
        return Outcome(tuple(self._problems), tried, stopped)

    def _tell_of(self, file: FileResult) -> None:
        if file.left_out:
            return
        recording = file.recording
        if self._begun != recording.name:
            self._problem = None
            for camera in file.cameras:
                self._begun = recording.name
                self._hooks.begun(recording, camera)
        self._keep_curves(file)
        for flash in file.flashes:
            self._hooks.flash(flash)
        file.flashes.clear()
        file.curves.clear()
        if file.problem is not None:
            self._problem = self._problem or file.problem
            self._problems.append(file.problem)
        if file.whole and not self._goes_on(file):
            self._hooks.finished(recording, self._problem)

    def _goes_on(self, file: FileResult) -> bool:
        """Return whether another part of the same recording follows."""
        later = self.files[file.number + 1 : file.number + 2]
        return any(one.recording.name == file.recording.name and not one.left_out for one in later)

    def _keep_curves(self, file: FileResult) -> None:
        """Add the light curves of a file to those of the run."""
        if self._out is None or not file.cameras:
            return
        for name, lines in file.curves.items():
            try:
                with open(self._out / name, "ab", opener=open_private) as kept:
                    kept.write(lines)
            except OSError as error:
                _log.error("%s: cannot write the light curve: %s", self._out / name, error.strerror)
