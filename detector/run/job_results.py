"""What came of the files of a run that are watched at once: told file by file, in their order."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from detector.events import Flash
from detector.output.report.curves import CURVES, FLASH_CURVES
from detector.run.recordings import Recording
from detector.run.replay import Outcome

_log = logging.getLogger(__name__)


class JobsProgress(Protocol):
    """Hears how the replay of many files at once goes on; `number` is the file's place in the run."""

    def begin(self, number: int, duration_seconds: float | None) -> None:
        """A file starts."""
        ...

    def advance(self, number: int, seconds: float) -> None:
        """The file has been watched up to `seconds` on its own clock."""
        ...

    def end(self, number: int, problem: str | None) -> None:
        """The file is done, or broke off for the reason given."""
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
    """What is known of one recording, until it is told.

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
        self._out = out
        self._hooks = hooks

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
        tried = sum(file.tries > 0 for file in self.files)
        stopped = stopped and not all(file.whole for file in self.files)
        return Outcome(tuple(self._problems), tried, stopped)

    def _tell_of(self, file: FileResult) -> None:
        for camera in file.cameras:
            self._hooks.begun(file.recording, camera)
        self._keep_curves(file)
        for flash in file.flashes:
            self._hooks.flash(flash)
        file.flashes.clear()
        file.curves.clear()
        if file.problem is not None:
            self._problems.append(file.problem)
        if file.whole:
            self._hooks.finished(file.recording, file.problem)

    def _keep_curves(self, file: FileResult) -> None:
        """Add the light curves of a file to those of the run."""
        if self._out is None or not file.cameras:
            return
        for name, lines in file.curves.items():
            try:
                with (self._out / name).open("ab") as kept:
                    kept.write(lines)
            except OSError as error:
                _log.error("%s: cannot write the light curve: %s", self._out / name, error.strerror)
