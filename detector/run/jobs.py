"""Replay of many files at once, in processes of their own; what comes of it is told in the order of the files."""

import logging
import os
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from detector.errors import DetectorError
from detector.events import Flash
from detector.output.report.curves import CURVES, FLASH_CURVES
from detector.run.job_worker import (
    Begun,
    Done,
    Ended,
    Failed,
    Go,
    Job,
    Logged,
    Opened,
    Reached,
    Told,
    WorkerSetup,
    work,
)
from detector.run.recordings import Recording
from detector.run.replay import Outcome

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # how often it is looked whether to stop
_END_SECONDS = 20.0  # for a worker to end once nothing is left to do
_TRIES = 2  # a file that kills its process twice would do so again


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


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def replay_in_processes(
    recordings: Sequence[Recording],
    setup: WorkerSetup,
    jobs: int,
    hooks: JobHooks,
    progress: JobsProgress,
    stop: Event,
) -> tuple[Outcome, int]:
    """Replay `recordings` in `jobs` processes at once.

    A file whose process dies is replayed once more, by another one. The flashes of a file are reported when it and all
    files before it are finished, so that nothing is reported twice, and in the same order for every `jobs`.

    Returns:
        the outcome, and how many stills and clips are missing.

    Raises:
        DetectorError: the run cannot go on.
    """
    with tempfile.TemporaryDirectory(prefix="lightning-jobs-") as scratch:
        pool = _Pool(recordings, setup, hooks, progress, Path(scratch))
        try:
            pool.run(jobs, stop)
        finally:
            pool.close()
        return pool.outcome(stopped=stop.is_set()), pool.lost_media


@dataclass(slots=True)
class _File:
    """What is known of one recording, until it is told."""

    number: int
    recording: Recording
    tries: int = 0
    curves: Path = Path()
    cameras: list[str] = field(default_factory=list)
    flashes: list[Flash] = field(default_factory=list)
    problem: str | None = None
    over: bool = False
    whole: bool = False


@dataclass(slots=True)
class _Worker:
    """One process, and what it works at."""

    process: Any
    connection: Connection
    file: _File | None = None


class _Pool:
    """The processes of one run.

    Attributes:
        lost_media: stills and clips that could not be written.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        setup: WorkerSetup,
        hooks: JobHooks,
        progress: JobsProgress,
        scratch: Path,
    ) -> None:
        self.lost_media = 0
        self._setup = setup
        self._hooks = hooks
        self._progress = progress
        self._scratch = scratch
        self._files = [_File(number, recording) for number, recording in enumerate(recordings)]
        self._waiting = deque(self._files)
        self._untold = deque(self._files)
        self._problems: list[str] = []
        self._workers: list[_Worker] = []
        self._opened = False

    def run(self, jobs: int, stop: Event) -> None:
        """Work until all files are finished or, after a stop, until the open ones are."""
        told = False
        while self._waiting or any(worker.file for worker in self._workers):
            if stop.is_set() and not told:
                told = True
                self._waiting.clear()
                for worker in self._workers:
                    self._say(worker, None)
                continue
            self._hand_out(jobs)
            for ready in wait([worker.connection for worker in self._workers], _LOOK_SECONDS):
                worker = next(one for one in self._workers if one.connection is ready)
                try:
                    self._hear(worker, worker.connection.recv())
                except (EOFError, OSError):
                    self._lost(worker, stop)
            self._tell()
        for file in self._untold:
            self._tell_of(file)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_END_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def outcome(self, *, stopped: bool) -> Outcome:
        """Return what became of the files."""
        tried = sum(file.tries > 0 for file in self._files)
        stopped = stopped and not all(file.whole for file in self._files)
        return Outcome(tuple(self._problems), tried, stopped)

    def _hand_out(self, jobs: int) -> None:
        idle = [worker for worker in self._workers if worker.file is None]
        while self._waiting and (idle or len(self._workers) < jobs):
            worker = idle.pop() if idle else self._start()
            file = worker.file = self._waiting.popleft()
            file.tries += 1
            file.curves = self._scratch / f"{file.number}-{file.tries}"
            self._say(worker, Job(file.recording, file.curves))

    def _start(self) -> _Worker:
        # Not forked: a child of a program with threads may find a lock held for ever.
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self._setup), name="replay", daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _say(self, worker: _Worker, said: Job | Go | None) -> None:
        with suppress(OSError):  # the worker has ended, which its connection shows
            worker.connection.send(said)

    def _hear(self, worker: _Worker, told: Told) -> None:
        file = worker.file
        if isinstance(told, Failed):
            raise DetectorError(told.text)
        if isinstance(told, Logged):
            logging.getLogger(told.logger).log(told.level, "%s", told.text)
        elif file is None:
            return
        elif isinstance(told, Flash):
            file.flashes.append(told)
        elif isinstance(told, Reached):
            self._progress.advance(file.number, told.seconds)
        elif isinstance(told, Begun):
            self._progress.begin(file.number, told.duration_seconds)
        elif isinstance(told, Ended):
            self._progress.end(file.number, told.problem)
        elif isinstance(told, Opened):
            if not self._opened:
                self._opened = True
                self._hooks.first_opened()
            file.cameras.append(told.camera)
            self._say(worker, Go())
        else:
            self._over(worker, file, told)

    def _over(self, worker: _Worker, file: _File, done: Done) -> None:
        file.over, file.problem, file.whole = True, done.problem, done.whole
        self.lost_media += done.lost_media
        worker.file = None

    def _lost(self, worker: _Worker, stop: Event) -> None:
        """Handle the loss of a process: its unfinished work is discarded, and done once more."""
        worker.process.join(_END_SECONDS)
        worker.connection.close()
        self._workers.remove(worker)
        file = worker.file
        if file is None or stop.is_set():
            return
        how = _ended_how(worker.process.exitcode)
        file.cameras.clear()
        file.flashes.clear()
        if file.tries < _TRIES:
            _log.warning("%s: the process that watched it %s; it is watched again", file.recording.path, how)
            self._waiting.appendleft(file)
            return
        file.problem = f"{file.recording.path}: the process that watched it {how}, twice; nothing is known of this file"
        file.over = file.whole = True
        self._progress.end(file.number, file.problem)

    def _tell(self) -> None:
        while self._untold and self._untold[0].over and self._untold[0].whole:
            self._tell_of(self._untold.popleft())

    def _tell_of(self, file: _File) -> None:
        for camera in file.cameras:
            self._hooks.begun(file.recording, camera)
        self._keep_curves(file)
        for flash in file.flashes:
            self._hooks.flash(flash)
        file.flashes.clear()
        if file.problem is not None:
            self._problems.append(file.problem)
        if file.whole:
            self._hooks.finished(file.recording, file.problem)

    def _keep_curves(self, file: _File) -> None:
        """Add the light curves of a file to those of the run."""
        if self._setup.out is None or not file.cameras:
            return
        for name in (CURVES, FLASH_CURVES):
            with suppress(FileNotFoundError):
                lines = (file.curves / name).read_bytes()
                try:
                    with (self._setup.out / name).open("ab") as kept:
                        kept.write(lines)
                except OSError as error:
                    _log.error("%s: cannot write the light curve: %s", self._setup.out / name, error.strerror)


def _ended_how(code: int | None) -> str:
    """Return how a process ended, as of its exit code."""
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"was killed ({signal.Signals(-code).name})"
    return f"ended (code {code})"


def with_cameras(recordings: Sequence[Recording], names: Sequence[str]) -> list[Recording]:
    """Return `recordings`, each with the name of its camera."""
    return [replace(recording, camera=name) for recording, name in zip(recordings, names, strict=True)]
