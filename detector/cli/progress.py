"""The progress on stderr while files are replayed and cameras are watched."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from detector.output.files import write_out
from detector.output.tables import FlashCounter, FlashTable
from detector.output.text import clock_text, plural
from stream import CameraStatus, printable

_SHOWN_SECONDS = 0.1
_OTHER_LINES = 3  # of a terminal, beside those of cameras: heads, the count of flashes, the cursor


class FileBars:
    """Bars over files that are watched: percent, speed against real time, flashes so far, time left.

    Nothing is shown if not on a terminal.

    Attributes:
        watched_seconds: how much video was watched.
    """

    def __init__(self, console: Console, table: FlashTable, *, quiet: bool) -> None:
        self._console = console
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
        self._shown = 0.0
        self.watched_seconds = 0.0

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the bars while the block lasts."""
        with self._bars:
            yield self

    def _add(self, name: str, total: float | None) -> TaskID:
        return self._bars.add_task(name, total=total, speed="", flashes="")

    def _due(self) -> bool:
        """Return whether it is time to draw again."""
        now = time.monotonic()
        due = now - self._shown >= _SHOWN_SECONDS
        self._shown = now if due else self._shown
        return due

    def _show(self, task: TaskID, completed: float, watched: float, since: float, name: str | None = None) -> None:
        """Draw a bar: what is done of it, and `watched` seconds of video since `since`."""
        speed = watched / max(1e-6, time.monotonic() - since)
        flashes = plural(self._table.found, "flash", "flashes")
        self._bars.update(task, completed=completed, description=name, speed=f"{speed:.1f}x", flashes=flashes)

    def _tell(self, problem: str | None) -> None:
        if problem is not None:
            self._console.print(Text(f"lightning-detector: {printable(problem)}"), soft_wrap=True)


class ReplayProgress(FileBars):
    """A bar for each file; it is a detector.run.replay.Progress."""

    def __init__(self, console: Console, files: int, table: FlashTable, *, quiet: bool = False) -> None:
        super().__init__(console, table, quiet=quiet)
        self._files = files
        self._task: TaskID | None = None
        self._begun = 0
        self._started = 0.0
        self._duration: float | None = None
        self._last = 0.0

    def begin(self, path: Path, duration_seconds: float | None) -> None:
        """Note that a file starts."""
        self._begun += 1
        self._started = time.monotonic()
        self._last = 0.0
        self._duration = duration_seconds
        shown = printable(path.name)
        name = shown if self._files == 1 else f"[{self._begun}/{self._files}] {shown}"
        self._task = self._add(name, duration_seconds)

    def advance(self, seconds: float) -> None:
        """Note that the file was replayed up to `seconds`."""
        self._last = seconds
        if self._task is not None and self._due():
            self._show(self._task, seconds, seconds, self._started)

    def end(self, problem: str | None) -> None:
        """Note that the file is finished, or broke off."""
        if self._task is None:
            # It never began: the length is that of the previous file.
            self._last, self._duration = 0.0, None
        else:
            self.watched_seconds += self._last
            self._bars.remove_task(self._task)
            self._task = None
        self._tell(problem)

    @property
    def reached(self) -> str:
        """Return how far the last file was replayed: in percent, or as a time if its length is unknown."""
        if not self._duration:
            return clock_text(self._last)[:-4]
        return f"{min(1.0, self._last / self._duration):.0%}".replace("%", " %")


def summary_line(table: FlashTable, files: int, watched_seconds: float, *, broken: int = 0, told: bool = True) -> str:
    """Return the summary of a replay in one line.

    Args:
        table: the flashes.
        files: how many files were watched.
        watched_seconds: how much video.
        broken: so many files could not be watched to their end.
        told: whether rejected lights are shown somewhere.
    """
    but = f"; {broken} not watched to the end" if broken else ""
    where = " (rejected lights: --json, --out or tune)" if table.counts["rejected"] and not told else ""
    of = f"{clock_text(watched_seconds)[:-4]} of video from {plural(files, 'file')}"
    return f"{table.summary()} in {of}{but}{where}"


def stopped_line(tried: int, files: int, reached: str) -> str:
    """Return how many of `files` a replay that was stopped came to, and how far it got in the last one."""
    last = f", the last to {reached}" if tried else ""
    return f"stopped early: {tried} of {plural(files, 'file')}{last}"


class WatchDisplay:
    """One line per camera, up to date on a terminal; nothing elsewhere or if `hidden` (the log has the changes)."""

    def __init__(self, console: Console, results: Console, counter: FlashCounter, *, hidden: bool = False) -> None:
        self._results = results
        self._counter = counter
        live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._live = live if console.is_terminal and not hidden else None

    @contextmanager
    def shown(self) -> "Iterator[WatchDisplay]":
        """Show the lines while the block lasts."""
        with self._live or nullcontext():
            yield self

    def say(self, line: Text) -> None:
        """Print a result: above the display if both are on one terminal, else to stdout as it is."""
        if self._live is not None and sys.stdout.isatty():
            self._live.console.print(line, soft_wrap=True)
        else:
            with self._results.capture() as captured:
                self._results.print(line, soft_wrap=True)
            write_out(captured.get().encode())

    def show(self, statuses: Sequence[CameraStatus]) -> None:
        """Draw the state of all cameras; if the terminal has too few lines, those with problems first."""
        if self._live is None:
            return
        room = max(1, self._live.console.height - _OTHER_LINES)
        shown = sorted(statuses, key=lambda status: status.state == "live")[:room] if len(statuses) > room else statuses
        left = [status for status in statuses if status not in shown]
        summary = Text(self._counter.summary(), style="bold")
        if left:
            live = sum(status.state == "live" for status in left)
            more = "all of them live" if live == len(left) else f"{live} of them live"
            summary = Text(f"and {plural(len(left), 'more camera')}, {more}; ").append_text(summary)
        self._live.update(Group(_status_table(shown), summary), refresh=True)

    def close(self, statuses: Sequence[CameraStatus]) -> None:
        """Print the last state of every camera, where it was shown; call it after the block."""
        if self._live is not None:
            self._live.console.print(_status_table(statuses))


def _status_table(statuses: Sequence[CameraStatus]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name in ("camera", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("frames/s", "frames", "damaged", "late", "skipped", "reconnects"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last error", overflow="ellipsis", no_wrap=True, ratio=1)
    colours = {"live": "green", "stalled": "yellow", "down": "red"}
    for status in statuses:
        table.add_row(
            status.camera,
            Text(status.state, style=colours.get(status.state, "")),
            f"{status.fps:.1f}",
            str(status.frames),
            str(status.damaged),
            str(status.late),
            Text(str(status.skipped), style="red" if status.skipped else ""),
            str(status.reconnects),
            Text(printable(status.last_error or "")),
        )
    return table
