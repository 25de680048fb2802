"""A process that replays one file after another, and reports the results to its parent."""

import logging
import math
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, cast

import msgspec

from detector.errors import DetectorError
from detector.events import Flash
from detector.output.media import MediaWriter
from detector.pipeline import SourceDetector
from detector.run.recordings import Recording, Span
from detector.run.replay import AnyVideo, ReplayOptions, replay_files
from detector.run.session import Session
from detector.run.site_storms import SiteStorms
from detector.settings import Settings
from detector.verify.base import ImageVerifier
from detector.verify.batcher import Batcher
from detector.verify.factory import choose_verifier
from stream import Publisher, StreamError, redact

_TOLD_SECONDS = 0.2  # least video time between two progress messages

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that a terminal or service manager also sends to the parent, which decides what to end."""


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """The common options of all workers of a run.

    Attributes:
        settings: of the run.
        options: how files are replayed.
        out: folder of the run, where stills and clips go; None keeps none.
        run: names the run, so that ids follow from it; None for ids of chance.
        log_level: what is logged.
    """

    settings: Settings
    options: ReplayOptions
    out: Path | None
    run: str | None
    log_level: int


@dataclass(frozen=True, slots=True)
class Job:
    """One file to replay; light curves go into the folder `curves`, which is this attempt's alone."""

    recording: Recording
    curves: Path


@dataclass(frozen=True, slots=True)
class Go:
    """The answer to `Opened`."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A video stream of the file is watched from here on."""

    duration_seconds: float | None


@dataclass(frozen=True, slots=True)
class Opened:
    """It could be opened, as this camera; the worker waits for the answer before it writes anything."""

    camera: str


@dataclass(frozen=True, slots=True)
class Reached:
    """It is watched up to here."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A video stream of the file is over."""

    problem: str | None


@dataclass(frozen=True, slots=True)
class Logged:
    """A line for the log."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """All results of the file have been reported; `lost_media` could not be written."""

    problem: str | None
    whole: bool
    lost_media: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The whole run cannot continue."""

    text: str


class Parent(Protocol):
    """Whoever gave the work: is told what comes of it.

    Attributes:
        stop: set once the work is to end.
    """

    stop: threading.Event

    def tell(self, told: "Told") -> None:
        """Take note of it."""
        ...

    def next(self) -> Job | None:
        """Return the next job; None where there will be none."""
        ...

    def wait(self) -> None:
        """Wait until something may be written, or for the end."""
        ...


Told = Begun | Opened | Reached | Ended | Logged | Done | Failed | Flash


def work(connection: Connection, setup: WorkerSetup) -> None:
    """Replay each job from `connection` until it is closed or says stop; the main function of the process."""
    for name in _SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    work_for(_Parent(connection), setup)


def work_for(parent: Parent, setup: WorkerSetup) -> None:
    """Replay each job of `parent`, which is told all, also what is logged and why the work cannot go on."""
    root = logging.getLogger()
    root.handlers[:] = [_ToParent(parent.tell)]
    root.setLevel(setup.log_level)
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    try:
        _work(parent, setup)
    except (DetectorError, StreamError, OSError) as error:
        parent.tell(Failed(redact(error)))


def _work(parent: Parent, setup: WorkerSetup) -> None:
    settings, options = setup.settings, setup.options
    with ExitStack() as stack:
        verifier, line = choose_verifier(settings)
        stack.callback(verifier.close)
        media = None
        if setup.out is not None:
            # The parent knows the media of all workers, and deletes those beyond the quota.
            unbounded = msgspec.structs.replace(settings.evidence, keep_megabytes=0, keep_days=0)
            sheet = verifier.sheet if isinstance(verifier, ImageVerifier) else None
            media = MediaWriter(setup.out, unbounded, settings.site, sheet=sheet)
            stack.callback(media.close)
        batcher = stack.enter_context(Batcher(verifier, settings.batcher, parent.stop))
        session = _WorkerSession(parent, settings, batcher, media, verifier_name=verifier.name, line=line)
        session.run = setup.run
        lost = 0
        while (job := parent.next()) is not None:
            session.curves, session.span = job.curves, job.recording.span
            opened = partial(_opened, parent, session)
            progress = _Progress(parent, job.recording.span)
            outcome = replay_files([job.recording], opened, options, progress, parent.stop)
            session.drain()
            new, lost = session.lost_media - lost, session.lost_media
            parent.tell(Done(next(iter(outcome.problems), None), not outcome.stopped, new))


def _opened(parent: Parent, session: Session, camera: str, file: str, video: AnyVideo) -> SourceDetector:
    parent.tell(Opened(camera))
    parent.wait()
    return session.file_detector(camera, file, video)


class _WorkerSession(Session):
    """A session whose flashes go to the parent, which makes storms of those of all files."""

    def __init__(
        self, parent: Parent, settings: Settings, batcher: Batcher, media: MediaWriter | None, **names: str
    ) -> None:
        storms = SiteStorms(cast("Publisher", _NoFeed()), settings, None)
        super().__init__(settings, storms, batcher, media, verifier_name=names["verifier_name"], line=names["line"])
        self._parent = parent

    def _publish(self, flash: Flash) -> None:
        self._parent.tell(flash)


class _NoFeed:
    """Stands for the feed, which the parent has.

    Attributes:
        failure: none: what is told and not heard ends with the parent.
        backlog: nothing waits here.
    """

    failure: BaseException | None = None
    backlog = 0


class _Parent:
    """The other end of the pipe; any thread may send to it.

    Attributes:
        stop: set once the parent says so, or is gone.
    """

    def __init__(self, connection: Connection) -> None:
        self.stop = threading.Event()
        self._connection = connection
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._go = threading.Semaphore(0)
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name="jobs", daemon=True).start()

    def tell(self, told: Told) -> None:
        """Send a message; do nothing if the parent is gone."""
        with self._lock, suppress(OSError):
            self._connection.send(told)

    def next(self) -> Job | None:
        """Wait for the next job; None if there are no more."""
        return self._jobs.get()

    def wait(self) -> None:
        """Wait for an answer, or for the end."""
        self._go.acquire()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while (said := self._connection.recv()) is not None:
                if isinstance(said, Job):
                    self._jobs.put(said)
                else:
                    self._go.release()
        self.stop.set()
        self._jobs.put(None)
        self._go.release()


class _Progress:
    """A detector.run.replay.Progress that reports to the parent; of a part, how much of its own time is watched."""

    def __init__(self, parent: Parent, span: Span | None) -> None:
        self._parent = parent
        self._start, self._end = (0.0, math.inf) if span is None else (span.start, span.end)
        self._told = 0.0
        self._last = 0.0

    def begin(self, path: Path, duration_seconds: float | None) -> None:  # noqa: ARG002 - the parent knows it
        self._told = self._last = 0.0
        self._parent.tell(Begun(None if duration_seconds is None else self._own(duration_seconds)))

    def advance(self, seconds: float) -> None:
        seconds = self._own(seconds)
        self._last = seconds
        if abs(seconds - self._told) >= _TOLD_SECONDS:
            self._told = seconds
            self._parent.tell(Reached(seconds))

    def end(self, problem: str | None) -> None:
        if self._last:
            self._parent.tell(Reached(self._last))
        self._parent.tell(Ended(problem))

    def _own(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._end) - self._start)


class _ToParent(logging.Handler):
    """A log handler that sends each line to the parent, which has the display."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(Logged(record.name, record.levelno, self.format(record)))
