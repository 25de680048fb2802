"""The progress on stderr while many files are replayed at once: one bar for all."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from detector.cli.progress import FileBars
from detector.output.tables import FlashTable
from detector.output.text import plural


class ManyFilesProgress(FileBars):
    """A bar over all files, or parts of them: how many are over and how many are being watched.

    It is a detector.run.jobs.JobsProgress.
    """

    def __init__(self, console: Console, paths: Sequence[Path], table: FlashTable, *, quiet: bool = False) -> None:
        super().__init__(console, table, quiet=quiet)
        self._paths = paths
        self._task = self._add("", float(len(paths)))
        self._open: dict[int, tuple[float, float | None]] = {}  # seconds watched and length of what is open
        self._over: set[int] = set()
        self._started = time.monotonic()

    def begin(self, number: int, duration_seconds: float | None) -> None:
        """Note that a file starts, or starts again after it broke off."""
        self._open[number] = 0.0, duration_seconds
        self._show_all()

    def advance(self, number: int, seconds: float) -> None:
        """Note that the file was replayed up to `seconds`."""
        if number in self._open:
            self._open[number] = seconds, self._open[number][1]
            self._show_all()

    def end(self, number: int, problem: str | None) -> None:
        """Note that the file is finished, or broke off."""
        self.watched_seconds += self._open.pop(number, (0.0, None))[0]
        self._over.add(number)
        self._tell(problem)
        self._show_all()

    @property
    def reached(self) -> str:
        """Return that files broke off; how far each was replayed is not told, since there are several."""
        return "where it was broken off"

    def _show_all(self) -> None:
        if not self._due():
            return
        parts = sum(min(1.0, seconds / length) for seconds, length in self._open.values() if length)
        watched = self.watched_seconds + sum(seconds for seconds, _ in self._open.values())
        over, kind = len(self._over), "file" if len(set(self._paths)) == len(self._paths) else "part"
        name = f"{over} of {plural(len(self._paths), kind)}, {len(self._open)} at a time"
        self._show(self._task, min(len(self._paths), over + parts), watched, self._started, name)
