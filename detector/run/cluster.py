"""Replay on a Ray cluster: each file a task, done again where a worker is lost; results as on one machine."""

import logging
import os
import re
import signal
import socket
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from detector import __version__
from detector.errors import DetectorError
from detector.run.at_once import LOCAL, ClusterOptions, usable_cores
from detector.run.cluster_worker import (
    Desk,
    Report,
    Sight,
    WorkerResult,
    driver_at,
    look_around,
    watch_file,
    why_closed,
)
from detector.run.job_results import FileResult, JobHooks, JobsProgress, ResultsInOrder
from detector.run.job_worker import Begun, Ended, Logged, Reached, WorkerSetup
from detector.run.recordings import Recording
from detector.run.replay import Outcome
from stream import CaptureOptions

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # how often reports are taken and it is looked whether to stop
_CONNECT_SECONDS = 5.0
_HOST_AND_PORT = re.compile(r"(ray://)?(?P<host>[^:/]+):(?P<port>\d{1,5})")
_SIGHT_SECONDS = 600.0  # for a node to start a worker and look at all paths
_LOST_WORKERS = 1  # that a file survives: one that takes two with it would take a third
_AHEAD = 2  # files handed out for each core, so that none waits for the driver
_NAMED = 3  # paths that are named in one line


def replay_on_cluster(
    recordings: Sequence[Recording],
    setup: WorkerSetup,
    cluster: ClusterOptions,
    hooks: JobHooks,
    progress: JobsProgress,
    stop: Event,
) -> tuple[Outcome, int]:
    """Replay `recordings` on the cluster.

    The flashes of a file are told when it and all files before it are over, as with `--jobs`.

    Returns:
        the outcome, and the number of stills and clips that could not be written.

    Raises:
        DetectorError: Ray or the cluster is not there, a node does not see a path, or the run cannot go on.
    """
    ray = import_ray()
    setup = replace(setup, out=None if setup.out is None else setup.out.absolute())
    with connected(ray, cluster, setup.log_level):
        _check_sight(ray, [_absolute(recording) for recording in recordings], setup)
        run = _ClusterRun(ray, recordings, setup, hooks, progress)
        run.run(cluster.jobs or 2**30, stop)
        return run.results.outcome(stopped=stop.is_set()), run.lost_media


class _ClusterRun:
    """The tasks of one run.

    Attributes:
        results: what came of the files.
        lost_media: stills and clips that could not be written.
    """

    def __init__(
        self,
        ray: Any,
        recordings: Sequence[Recording],
        setup: WorkerSetup,
        hooks: JobHooks,
        progress: JobsProgress,
    ) -> None:
        self.results = ResultsInOrder(recordings, setup.out, hooks)
        self.lost_media = 0
        self._ray = ray
        self._setup = ray.put(setup)
        self._hooks = hooks
        self._progress = progress
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._desk = ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here).remote()
        self._task = ray.remote(_watch_file).options(
            num_cpus=1, max_retries=_LOST_WORKERS, retry_exceptions=False, name="watch_file"
        )
        self._waiting = deque(self.results.files)
        self._under_way: dict[Any, FileResult] = {}
        self._attempts: dict[int, str] = {}
        self._opened = False

    def run(self, jobs: int, stop: Event) -> None:
        """Work until all files are over, or until what is open when told to stop is over."""
        told = False
        while self._waiting or self._under_way:
            if stop.is_set() and not told:
                told = True
                self._waiting.clear()
                self._ray.get(self._desk.stop.remote())
                continue
            self._hand_out(jobs)
            ready, _ = self._ray.wait(list(self._under_way), num_returns=1, timeout=_LOOK_SECONDS)
            self._hear()
            for reference in ready:
                self._take(reference, self._under_way.pop(reference), stop)
            self.results.tell()
        self.results.tell_rest()

    def _hand_out(self, jobs: int) -> None:
        cores = int(self._ray.cluster_resources().get("CPU", 1)) if self._waiting else 0
        while self._waiting and len(self._under_way) < min(jobs, _AHEAD * max(1, cores)):
            file = self._waiting.popleft()
            if file.left_out:
                continue
            file.tries = 1
            reference = self._task.remote(self._desk, self._setup, file.number, _absolute(file.recording))
            self._under_way[reference] = file

    def _hear(self) -> None:
        for report in self._ray.get(self._desk.take.remote()):
            self._hear_of(report)

    def _hear_of(self, report: Report) -> None:
        number = report.number
        if self._attempts.setdefault(number, report.attempt) != report.attempt:
            self._attempts[number] = report.attempt
            path = self.results.files[number].recording.path
            _log.warning("%s: the worker that watched it was lost; it is watched again", path)
        if report.opened and not self._opened:
            self._opened = True
            self._hooks.first_opened()
            self._ray.get(self._desk.go.remote())
        file = self.results.files[number]
        for told in report.told:
            if isinstance(told, Logged):
                logging.getLogger(told.logger).log(told.level, "%s", told.text)
            elif file.left_out:
                continue
            elif isinstance(told, Begun):
                self._progress.begin(number, told.duration_seconds)
            elif isinstance(told, Reached):
                self._progress.advance(number, told.seconds)
            elif isinstance(told, Ended) and (told.problem is None or not file.in_parts):
                self._progress.end(number, told.problem)

    def _take(self, reference: Any, file: FileResult, stop: Event) -> None:
        try:
            result: WorkerResult = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            if stop.is_set() or file.left_out:
                return
            file.problem = f"{file.recording.path}: {lost_how(error)}; nothing is known of this file"
            file.over = file.whole = True
            self._progress.end(file.number, file.problem)
            return
        if result.done is None:
            raise DetectorError(result.failure or f"{file.recording.path}: its worker ended without a word")
        file.cameras, file.flashes, file.curves = result.cameras, result.flashes, result.curves
        self.lost_media += result.done.lost_media
        if self.results.end(file, result.done):
            self._attempts.pop(file.number, None)
            self._waiting.appendleft(file)


def _watch_file(desk: Any, setup: WorkerSetup, number: int, recording: Recording) -> WorkerResult:
    """Do the work of one task; this runs in a worker of the cluster."""
    return watch_file(driver_at(desk, import_module("ray").get), setup, number, recording)


def import_ray() -> Any:
    """Return the package ray.

    Raises:
        DetectorError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # it would print among the results that a node is lost
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no warning about GPUs that no task asks for
    try:
        import_module("ray.util.scheduling_strategies")
        return import_module("ray")
    except ImportError as error:
        raise DetectorError(f"--engine ray needs more: pip install 'lightning-detector[ray]' ({error})") from error


@contextmanager
def connected(ray: Any, cluster: ClusterOptions, log_level: int) -> Iterator[None]:
    """Be connected to the cluster inside the block.

    Raises:
        DetectorError: it cannot be reached.
    """
    own = cluster.address == LOCAL
    more = {"include_dashboard": False, "num_cpus": cluster.jobs or usable_cores()} if own else {}
    quiet = max(log_level, logging.ERROR)
    try:
        _knock(cluster.address)
        with _own_signals():
            ray.init(address=cluster.address, log_to_driver=False, logging_level=quiet, **more)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise DetectorError(
            f"--address {cluster.address}: no Ray cluster can be reached there: {said[0]}; start one with "
            "`ray start --head`, or take one of its own with --address local"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put back what a signal does after the block: Ray would end the process, with what was found untold."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(ValueError):  # outside the main thread, where Ray changes none either
                signal.signal(number, handler)


def _knock(address: str) -> None:
    """Raise OSError where nothing listens at HOST:PORT; Ray would try for minutes. Other addresses are Ray's own."""
    found = _HOST_AND_PORT.fullmatch(address)
    if found is not None:
        socket.create_connection((found["host"], int(found["port"])), _CONNECT_SECONDS).close()


def _check_sight(ray: Any, recordings: Sequence[Recording], setup: WorkerSetup) -> None:
    """Raise DetectorError unless each node that works sees all recordings and the folder of results."""
    files = [
        (str(path), path.stat().st_size if path.is_file() else -1)
        for path in dict.fromkeys(path for recording in recordings for path in _paths(recording))
        if path.exists()  # what is not there here either is a file's own problem
    ]
    options = setup.options.capture
    hosts = {urlsplit(one.source)[:2]: one.source for one in recordings if isinstance(one.source, str)}
    urls = [url for url in hosts.values() if why_closed(url, options) is None]
    check_nodes(ray, setup.out, files, urls, options)


def working_nodes(ray: Any) -> list[dict[str, Any]]:
    """Return what Ray tells of each node that has cores for work."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def check_nodes(
    ray: Any,
    out: Path | None,
    files: Sequence[tuple[str, int]] = (),
    urls: Sequence[str] = (),
    options: CaptureOptions | None = None,
) -> None:
    """Check that each node that works runs this version, and sees what it needs.

    Args:
        ray: the package.
        out: folder of results.
        files: paths of recordings, and their sizes.
        urls: recordings to open.
        options: how they are opened.

    Raises:
        DetectorError: it does not, or there is no such node.
    """
    look = ray.remote(look_around)
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = working_nodes(ray)
    if not nodes:
        raise DetectorError(
            "the cluster has no node with cores for work; start one with `ray start --address HOST:6379`"
        )
    with _probe(out) as probe:
        asked = {
            node["NodeManagerAddress"]: look.options(
                num_cpus=0, max_retries=0, scheduling_strategy=affinity(node["NodeID"], soft=False)
            ).remote(files, urls, options or CaptureOptions(), probe)
            for node in nodes
        }
        for name, reference in asked.items():
            try:
                sight = ray.get(reference, timeout=_SIGHT_SECONDS)
            except ray.exceptions.GetTimeoutError:
                raise DetectorError(
                    f"node {name} of the cluster did not start a worker in {_SIGHT_SECONDS:g} s; is it overloaded?"
                ) from None
            except ray.exceptions.RayError as error:
                raise DetectorError(
                    f"node {name} of the cluster cannot run this program: {lost_how(error)}; install "
                    f"lightning-detector {__version__} there"
                ) from error
            _refuse_blind(name, sight, out)


def _refuse_blind(node: str, sight: Sight, out: Path | None) -> None:
    if sight.version != __version__:
        raise DetectorError(f"node {node} of the cluster has version {sight.version}, this is {__version__}: use one")
    if sight.missing:
        more = len(sight.missing) - _NAMED
        named = ", ".join(sight.missing[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        raise DetectorError(
            f"node {node} of the cluster does not see {named}; put recordings into a folder that all nodes share under "
            "the same path, or name them by URL"
        )
    if sight.unread:
        raise DetectorError(f"node {node} of the cluster cannot read a recording: {sight.unread[0]}")
    if not sight.writes:
        raise DetectorError(
            f"node {node} of the cluster cannot write to --out {out}; choose a folder that all nodes share under the "
            "same path"
        )


@contextmanager
def _probe(out: Path | None) -> Iterator[str | None]:
    """Give the path of a file beside or in the folder of results, which workers look for."""
    if out is None:
        yield None
        return
    there = next(folder for folder in (out, *out.parents) if folder.is_dir())
    try:
        with tempfile.NamedTemporaryFile(prefix=".lightning-", dir=there) as made:
            yield made.name
    except OSError:  # that nothing can be written there is said when it is needed
        yield None


def _absolute(recording: Recording) -> Recording:
    """Return the recording with paths that do not depend on the current folder."""
    source = recording.source
    if isinstance(source, Path):
        source = source.absolute()
    return replace(recording, source=source, parts=tuple(part.absolute() for part in recording.parts))


def _paths(recording: Recording) -> tuple[Path, ...]:
    if recording.parts:
        return recording.parts
    return (recording.source,) if isinstance(recording.source, Path) else ()


def lost_how(error: Exception) -> str:
    """Return in one line what Ray says of a task that gave no result."""
    cause = getattr(error, "cause", None)
    if cause is not None:
        return f"{type(cause).__name__}: {cause}".splitlines()[0]
    with suppress(ImportError):
        exceptions = import_module("ray.exceptions")
        if isinstance(error, exceptions.WorkerCrashedError | exceptions.NodeDiedError):
            return f"{_LOST_WORKERS + 1} workers that watched it were lost"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip() if lines else 'no reason given'}"
