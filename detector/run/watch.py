"""Many live cameras, each in a thread of its own that never disturbs another."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from detector.pipeline import SourceDetector
from stream import Camera, CameraStatus, CaptureOptions, FeedError

_log = logging.getLogger(__name__)

# A fault in our own code, not the camera's: wait, so that it cannot fill the log or eat a core.
_RESTART_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One camera to watch.

    Attributes:
        name: of the camera.
        address: with its credentials.
        options: how it is opened.
        make_detector: makes what finds its flashes.
        history_seconds: how much of what came is kept for clips.
    """

    name: str
    address: str
    options: CaptureOptions
    make_detector: Callable[[Camera], SourceDetector]
    history_seconds: float = 0.0

    def __repr__(self) -> str:
        return f"CameraSpec({self.name})"


class CameraWorker:
    """The thread of one camera: capture, prefilter and publication of its flashes.

    Whatever goes wrong in it is logged and kept in `fault`, and the camera is taken up again.
    """

    def __init__(self, spec: CameraSpec, on_state: Callable[[CameraStatus], None]) -> None:
        self.name = spec.name
        self.fault: BaseException | None = None
        self._spec = spec
        self._on_state = on_state
        self._stop = threading.Event()
        self._detector: SourceDetector | None = None
        self._camera = self._open()
        self._thread = threading.Thread(target=self._run, name=f"camera-{spec.name}")

    @property
    def status(self) -> CameraStatus:
        """The camera's state and counters now."""
        return self._camera.status

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self._stop.set()
        self._camera.stop()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread's end; whether it has ended."""
        if self._thread.ident is not None:  # it was started
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
        """Pass on what became of the camera; called in the thread that takes its frames."""
        if status.state == "down" and self._detector is not None:
            # A stroke may have cut its power, for days: what it showed last must not wait for its return.
            self._detector.finish()
        self._on_state(status)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch_once()
            except FeedError as error:
                # Without a feed nothing can be reported; the owner sees that too and ends the run.
                self.fault = error
                _log.error("%s: %s", self.name, error)
            except Exception as error:  # noqa: BLE001 - one camera's fault must neither end it nor touch the others
                self.fault = error
                _log.exception("%s: a fault in the program; watching goes on in %.0f s", self.name, _RESTART_SECONDS)
            if not self._stop.wait(_RESTART_SECONDS):
                self._camera = self._open()

    def _watch_once(self) -> None:
        detector = self._detector = self._spec.make_detector(self._camera)
        with self._camera as frames:
            try:
                for frame in frames:
                    detector.push(frame)
            finally:
                detector.finish()


class CameraPool:
    """All cameras of a run, each watched by a worker of its own while the block of `running` lasts."""

    def __init__(self, cameras: Sequence[CameraSpec], on_state: Callable[[CameraStatus], None]) -> None:
        self.workers = [CameraWorker(camera, on_state) for camera in cameras]

    @contextmanager
    def running(self) -> "Iterator[CameraPool]":
        """Start the workers, and stop and join them at the end of the block."""
        try:
            for worker in self.workers:
                worker.start()
            yield self
        finally:
            self._stop()

    def _stop(self) -> None:
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            if not worker.join(timeout_seconds=5.0):
                _log.error("%s: its thread did not end within 5 s and is left behind", worker.name)
