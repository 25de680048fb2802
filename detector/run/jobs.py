"""Replay of many files at once, in separate processes; results are reported in the order of the files."""

import logging
import signal
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Event
from typing import Any

from detector.errors import DetectorError
from detector.events import Flash
from detector.run.job_results import FileResult, JobHooks, JobsProgress, ResultsInOrder, read_curves
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

_LOOK_SECONDS = 0.2  # between two checks for a stop
_END_SECONDS = 20.0  # limit for the end of a worker without work
_TRIES = 2  # a file that ends its process twice would do so again


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
        return pool.results.outcome(stopped=stop.is_set()), pool.lost_media


@dataclass(slots=True)
class _Worker:
    """One process, and its current file."""

    process: Any
    connection: Connection
    file: FileResult | None = None


class _Pool:
    """The processes of one run.

    Attributes:
        lost_media: stills and clips that could not be written.
        results: what came of the files.
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
        self.results = ResultsInOrder(recordings, setup.out, hooks)
        self._waiting = deque(self.results.files)
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
            self.results.tell()
        self.results.tell_rest()

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_END_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _hand_out(self, jobs: int) -> None:
        idle = [worker for worker in self._workers if worker.file is None]
        while self._waiting and (idle or len(self._workers) < jobs):
            file = self._waiting.popleft()
            if file.left_out:
                continue
            worker = idle.pop() if idle else self._start()
            worker.file = file
            file.tries += 1
            self._say(worker, Job(file.recording, self._curves(file)))

    def _start(self) -> _Worker:
        # Not forked: in a child of a program with threads a lock may be held forever.
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
        elif file is None or (file.left_out and not isinstance(told, Opened | Done)):
            return
        elif isinstance(told, Flash):
            file.flashes.append(told)
        elif isinstance(told, Reached):
            self._progress.advance(file.number, told.seconds)
        elif isinstance(told, Begun):
            self._progress.begin(file.number, told.duration_seconds)
        elif isinstance(told, Ended):
            if told.problem is None or not file.in_parts:
                self._progress.end(file.number, told.problem)
        elif isinstance(told, Opened):
            if not self._opened:
                self._opened = True
                self._hooks.first_opened()
            file.cameras.append(told.camera)
            self._say(worker, Go())
        else:
            self._over(worker, file, told)

    def _curves(self, file: FileResult) -> Path:
        """Return the folder of the light curves of this attempt."""
        return self._scratch / f"{file.number}-{file.tries}"

    def _over(self, worker: _Worker, file: FileResult, done: Done) -> None:
        file.curves = read_curves(self._curves(file))
        self.lost_media += done.lost_media
        worker.file = None
        if self.results.end(file, done):
            self._waiting.appendleft(file)

    def _lost(self, worker: _Worker, stop: Event) -> None:
        """Handle the loss of a process: its unfinished work is discarded, and done once more."""
        worker.process.join(_END_SECONDS)
        worker.connection.close()
        self._workers.remove(worker)
        file = worker.file
        if file is None or file.left_out or stop.is_set():
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


def _ended_how(code: int | None) -> str:
    """Return in words how a process ended, by its exit code."""
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"was killed ({signal.Signals(-code).name})"
    return f"ended (code {code})"
