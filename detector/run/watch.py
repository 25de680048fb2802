"""Watch live cameras, each in a thread of its own, so that none affects another."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from detector.pipeline import SourceDetector
from detector.run.status import CameraReading
from stream import Camera, CameraStatus, CaptureOptions, FeedError, Frame

_log = logging.getLogger(__name__)

# Pause after a fault in our own code, so that it neither fills the log nor uses a whole core.
_RESTART_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One camera to watch.

    Attributes:
        name: name of the camera.
        address: its address, with credentials.
        options: how it is opened.
        make_detector: makes the detector of its flashes.
        history_seconds: seconds of packets kept for clips.
        on_frame: called with each frame after detection.
        identity: a camera with an equal identity after a reload continues without interruption; None never is equal.
    """

    name: str
    address: str
    options: CaptureOptions
    make_detector: Callable[[Camera], SourceDetector]
    history_seconds: float = 0.0
    on_frame: Callable[[Frame], None] | None = None
    identity: object = None

    def __repr__(self) -> str:
        return f"CameraSpec({self.name})"


class CameraWorker:
    """The thread of one camera: capture, prefilter and publication of its flashes.

    An error in it is logged and kept in `fault`, and the camera is started again.
    """

    def __init__(self, spec: CameraSpec, on_state: Callable[[CameraStatus], None]) -> None:
        self.name = spec.name
        self.fault: BaseException | None = None
        self._spec = spec
        self._on_state = on_state
        self._stop = threading.Event()
        self._detector: SourceDetector | None = None
        self._arrival: float | None = None
        self._utc_error_ms: float | None = None
        self._camera = self._open()
        self._thread = threading.Thread(target=self._run, name=f"camera-{spec.name}")

    @property
    def status(self) -> CameraStatus:
        """The camera's current state and counters."""
        return self._camera.status

    @property
    def reading(self) -> CameraReading:
        """The camera's current state and counters, with the age of its last frame; any thread may read it."""
        age = None if self._arrival is None else max(0.0, time.monotonic() - self._arrival)
        return CameraReading(self._camera.status, age, self._utc_error_ms)

    @property
    def streams(self) -> int:
        """How many video streams the camera sends; 1 until it answered."""
        return self._camera.streams

    @property
    def identity(self) -> object:
        """The identity of its camera specification."""
        return self._spec.identity

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, and return at once."""
        self._stop.set()
        self._camera.stop()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread, and return whether it has ended."""
        if self._thread.ident is not None:  # the thread was started
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _open(self) -> Camera:
        spec = self._spec
        return Camera(
            spec.name,
            spec.address,
            spec.options,
            on_state=self._tell,
            history_seconds=spec.history_seconds,
        )

    def _tell(self, status: CameraStatus) -> None:
        """Pass on a change of the camera's state; called in the thread that takes its frames."""
        if status.state == "down" and self._detector is not None:
            # Lightning may have cut its power for days: its last flash must not wait for its return.
            self._detector.finish()
        self._on_state(status)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch_once()
            except FeedError as error:
                # Without a feed nothing can be reported; the owner notices that, too, and ends the run.
                self.fault = error
                _log.error("%s: %s", self.name, error)
            except Exception as error:  # noqa: BLE001 - one camera's fault must neither end it nor touch the others
                self.fault = error
                _log.exception("%s: a fault in the program; watching goes on in %.0f s", self.name, _RESTART_SECONDS)
            if not self._stop.wait(_RESTART_SECONDS):
                self._camera = self._open()

    def _watch_once(self) -> None:
        detector = self._detector = self._spec.make_detector(self._camera)
        on_frame = self._spec.on_frame
        with self._camera as frames:
            try:
                for frame in frames:
                    self._arrival, self._utc_error_ms = frame.arrival, frame.utc_error_ms
                    detector.push(frame)
                    if on_frame is not None:
                        on_frame(frame)
            finally:
                detector.finish()


@dataclass(frozen=True, slots=True)
class PoolChanges:
    """The changes of a reload, by names of cameras."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def __str__(self) -> str:
        parts = (("added", self.added), ("changed", self.changed), ("removed", self.removed))
        return "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names) or "nothing changed"


class CameraPool:
    """All cameras of a run, each watched by its own worker inside the block of `running`.

    Attributes:
        workers: one for each camera; a new list after each `replace`.
    """

    def __init__(self, cameras: Sequence[CameraSpec], on_state: Callable[[CameraStatus], None]) -> None:
        self._on_state = on_state
        self.workers = [CameraWorker(camera, on_state) for camera in cameras]

    def replace(self, cameras: Sequence[CameraSpec]) -> PoolChanges:
        """Watch `cameras` from now on. Those with an equal identity are not interrupted; call it inside `running`."""
        before = {worker.name: worker for worker in self.workers}
        after: list[CameraWorker] = []
        begun: list[CameraWorker] = []
        for spec in cameras:
            known = before.get(spec.name)
            if known is not None and spec.identity is not None and known.identity == spec.identity:
                after.append(known)
            else:
                begun.append(CameraWorker(spec, self._on_state))
                after.append(begun[-1])
        gone = [worker for worker in self.workers if worker not in after]
        # A camera's old worker ends first: many cameras serve few connections.
        _stop_all(gone)
        self.workers = after
        for worker in begun:
            worker.start()
        names = {worker.name for worker in begun}
        return PoolChanges(
            added=tuple(sorted(names - before.keys())),
            changed=tuple(sorted(names & before.keys())),
            removed=tuple(sorted({worker.name for worker in gone} - names)),
        )

    @contextmanager
    def running(self) -> "Iterator[CameraPool]":
        """Start the workers, and stop and join them at the end of the block."""
        try:
            for worker in self.workers:
                worker.start()
            yield self
        finally:
            _stop_all(self.workers)


def _stop_all(workers: Sequence[CameraWorker]) -> None:
    for worker in workers:
        worker.stop()
    for worker in workers:
        if not worker.join(timeout_seconds=5.0):
            _log.error("%s: its thread did not end within 5 s and is left behind", worker.name)
