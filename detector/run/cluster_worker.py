"""What runs on the nodes of a Ray cluster: one file watched as `replay` does, and a look at what a node can see."""

import os
import tempfile
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from detector import __version__
from detector.events import Flash
from detector.run.job_results import read_curves
from detector.run.job_worker import Done, Failed, Job, Opened, Reached, Told, WorkerSetup, work_for
from detector.run.recordings import Recording
from stream import CaptureOptions, OpenError, open_video

_TELL_SECONDS = 0.5  # between two reports to the driver
_ASK_SECONDS = 0.05  # how often the first worker asks whether it may write


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker tells on the way; what was found comes with its result.

    Attributes:
        number: place of the file in the run.
        attempt: names this attempt at the file.
        opened: whether the file could be opened.
        told: progress and lines for the log.
    """

    number: int
    attempt: str
    opened: bool
    told: tuple[Told, ...]


@dataclass(slots=True)
class WorkerResult:
    """What came of one file.

    Attributes:
        cameras: as which it was watched.
        flashes: all revisions, in order.
        curves: its light curves, by the name of their file.
        done: how it ended; None where the run cannot go on.
        failure: why it cannot.
    """

    cameras: list[str] = field(default_factory=list)
    flashes: list[Flash] = field(default_factory=list)
    curves: dict[str, bytes] = field(default_factory=dict)
    done: Done | None = None
    failure: str | None = None


class Driver(Protocol):
    """The worker's way to whoever started the run."""

    def tell(self, report: Report) -> bool:
        """Take note of the report; return whether the work is to end."""
        ...

    def may_write(self) -> bool:
        """Return whether results may be written."""
        ...


class Desk:
    """Keeps what workers report until the driver takes it: an actor of the cluster."""

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._stopped = False
        self._go = False

    def tell(self, report: Report) -> bool:
        """Keep the report; return whether the work is to end."""
        self._reports.append(report)
        return self._stopped

    def may_write(self) -> bool:
        """Return whether results may be written, or nobody will say so any more."""
        return self._go or self._stopped

    def take(self) -> list[Report]:
        """Return what was reported since the last call."""
        taken, self._reports = self._reports, []
        return taken

    def go(self) -> None:
        """Let workers write."""
        self._go = True

    def stop(self) -> None:
        """Have workers end where they are."""
        self._stopped = True


def watch_file(driver: Driver, setup: WorkerSetup, number: int, recording: Recording) -> WorkerResult:
    """Watch one file to its end, or until the driver says to stop; return all that came of it."""
    with tempfile.TemporaryDirectory(prefix="lightning-task-") as scratch:
        curves = Path(scratch) / "curves"
        parent = _TaskParent(driver, number, Job(recording, curves))
        try:
            work_for(parent, setup)
        finally:
            parent.close()
        parent.result.curves = read_curves(curves)
        return parent.result


@dataclass(frozen=True, slots=True)
class Sight:
    """What a node sees.

    Attributes:
        version: of the program there.
        missing: recordings that it does not see, or sees with another size.
        unread: for each URL that it cannot open, why.
        writes: whether it can write where results go.
    """

    version: str
    missing: tuple[str, ...]
    unread: tuple[str, ...]
    writes: bool


def look_around(
    files: Sequence[tuple[str, int]], urls: Sequence[str], options: CaptureOptions, probe: str | None
) -> Sight:
    """Return what this node sees.

    Args:
        files: paths of recordings, and their sizes.
        urls: recordings to open.
        options: how they are opened.
        probe: a file in the folder of results.
    """
    missing = tuple(path for path, size in files if not _is_there(path, size))
    unread = tuple(why for url in urls if (why := why_closed(url, options)) is not None)
    return Sight(__version__, missing, unread, probe is None or os.access(probe, os.W_OK))


def why_closed(url: str, options: CaptureOptions) -> str | None:
    """Return why the recording at a URL cannot be opened here; None if it can."""
    try:
        open_video(url, options=options).close()
    except OpenError as error:
        return str(error)
    return None


def _is_there(path: str, size: int) -> bool:
    try:
        status = Path(path).stat()
    except OSError:
        return False
    return size < 0 or status.st_size == size


class _TaskParent:
    """It is a detector.run.job_worker.Parent: one job, and a driver that hears how it goes on.

    Attributes:
        result: what came of the job.
    """

    def __init__(self, driver: Driver, number: int, job: Job) -> None:
        self.stop = threading.Event()
        self.result = WorkerResult()
        self._driver = driver
        self._number = number
        self._attempt = uuid.uuid4().hex
        self._job: Job | None = job
        self._lock = threading.Lock()
        self._told: list[Told] = []
        self._reached: Reached | None = None
        self._closed = threading.Event()
        self._report()
        self._reporter = threading.Thread(target=self._report_often, name="reports", daemon=True)
        self._reporter.start()

    def close(self) -> None:
        """Tell the last, and stop telling."""
        self._closed.set()
        self._reporter.join()
        self._report()

    def tell(self, told: Told) -> None:
        """Keep what was found; the rest goes to the driver with the next report."""
        with self._lock:
            if isinstance(told, Flash):
                self.result.flashes.append(told)
            elif isinstance(told, Done):
                self.result.done = told
            elif isinstance(told, Failed):
                self.result.failure = told.text
            elif isinstance(told, Opened):
                self.result.cameras.append(told.camera)
            elif isinstance(told, Reached):
                self._reached = told
            else:
                self._told += [told] if self._reached is None else [self._reached, told]
                self._reached = None

    def next(self) -> Job | None:
        """Return the job, once."""
        job, self._job = self._job, None
        return job

    def wait(self) -> None:
        """Wait until results may be written."""
        self._report()
        while not self.stop.is_set() and not self._driver.may_write():
            self.stop.wait(_ASK_SECONDS)

    def _report_often(self) -> None:
        while not self._closed.wait(_TELL_SECONDS):
            self._report()

    def _report(self) -> None:
        with self._lock:
            told = (*self._told, *([] if self._reached is None else [self._reached]))
            self._told, self._reached = [], None
        # Any: the driver may be gone, in which case the cluster ends this worker.
        with suppress(Exception):
            if self._driver.tell(Report(self._number, self._attempt, bool(self.result.cameras), told)):
                self.stop.set()


def driver_at(desk: Any, get: Any) -> Driver:
    """Return the way to the actor `desk` by way of `get`, which waits for its answers."""
    return _RemoteDriver(desk, get)


class _RemoteDriver:
    """It is a Driver."""

    def __init__(self, desk: Any, get: Any) -> None:
        self._desk = desk
        self._get = get

    def tell(self, report: Report) -> bool:
        return bool(self._get(self._desk.tell.remote(report)))

    def may_write(self) -> bool:
        return bool(self._get(self._desk.may_write.remote()))
