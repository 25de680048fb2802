"""What a person sees on stderr while many files are replayed at once: one bar for all."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from detector.output.tables import FlashTable
from detector.output.text import plural
from stream import printable

_SHOWN_SECONDS = 0.1


class ManyFilesProgress:
    """A bar over all files: how many are over and how many are being watched, speed, flashes, time left.

    It is a detector.run.jobs.JobsProgress. Nothing is shown if not on a terminal.

    Attributes:
        watched_seconds: how much video was watched.
    """

    def __init__(self, console: Console, paths: Sequence[Path], table: FlashTable, *, quiet: bool = False) -> None:
        self._console = console
        self._paths = paths
        self._table = table
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[flashes]}"),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._task = self._bars.add_task("", total=float(len(paths)), speed="", flashes="")
        self._open: dict[int, tuple[float, float | None]] = {}  # seconds watched and length of what is open
        self._over = 0
        self._started = time.monotonic()
        self._shown = 0.0
        self.watched_seconds = 0.0

    @contextmanager
    def shown(self) -> "Iterator[ManyFilesProgress]":
        """Show the bar while the block lasts."""
        with self._bars:
            yield self

    def begin(self, number: int, duration_seconds: float | None) -> None:
        """A file starts, or one that was broken off starts again."""
        self._open[number] = 0.0, duration_seconds
        self._show()

    def advance(self, number: int, seconds: float) -> None:
        """The file has been watched up to `seconds`."""
        if number in self._open:
            self._open[number] = seconds, self._open[number][1]
            self._show()

    def end(self, number: int, problem: str | None) -> None:
        """The file is done, or broke off."""
        self.watched_seconds += self._open.pop(number, (0.0, None))[0]
        self._over += 1
        if problem is not None:
            self._console.print(Text(f"lightning-detector: {printable(problem)}"), soft_wrap=True)
        self._show()

    @property
    def reached(self) -> str:
        """How far the last file was watched: here only that it was broken off, since several were."""
        return "where it was broken off"

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown < _SHOWN_SECONDS:
            return
        self._shown = now
        parts = sum(min(1.0, seconds / length) for seconds, length in self._open.values() if length)
        watched = self.watched_seconds + sum(seconds for seconds, _ in self._open.values())
        self._bars.update(
            self._task,
            completed=min(len(self._paths), self._over + parts),
            description=f"{self._over} of {plural(len(self._paths), 'file')}, {len(self._open)} at a time",
            speed=f"{watched / max(1e-6, now - self._started):.1f}x",
            flashes=plural(self._table.found, "flash", "flashes"),
        )
