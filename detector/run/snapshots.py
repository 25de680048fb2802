"""Small current images of the cameras, in the run's folder, for the page; they never go through the feed."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.output.files import write_whole
from detector.settings import PageSettings
from stream import Frame, load_opencv

_log = logging.getLogger(__name__)

LIVE = "live"
"""The sub-folder of a run's folder that holds NAME.jpg and NAME.json of each camera."""
_JPEG_QUALITY = 78
_STEP_SECONDS = 0.4  # each step keeps its brightest frame, so that a flash of one frame is visible
_KEPT_SECONDS = 60.0
_PIXEL_STEP = 32  # every 32nd pixel of every 32nd row: 2000 of a large frame, 15 us


class Snapshots:
    """Write each camera's image and the brightness of its last minute every `snapshot_seconds`.

    A camera's thread only scales the image down; encoding and writing happen in a thread of this object, so that a
    hanging disk delays no camera. A write error is logged once.
    """

    def __init__(self, folder: Path, settings: PageSettings) -> None:
        self._folder = folder / LIVE
        self._settings = settings
        self._waiting: dict[str, tuple[NDArray[np.uint8], bytes]] = {}
        self._changed = threading.Condition()
        self._ending = False
        self._failed = False

    def camera(self, name: str) -> Callable[[Frame], None]:
        """Return a function that takes each frame of the camera `name`, in the camera's thread."""
        return _CameraView(name, self._settings, self._put, self._is_waiting).add

    @contextmanager
    def running(self) -> "Iterator[Snapshots]":
        """Write inside the block."""
        thread = threading.Thread(target=self._write_all, name="snapshots", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            with self._changed:
                self._ending = True
                self._changed.notify()
            thread.join(2.0)  # a hanging disk must not keep the program from ending

    def remove(self, name: str) -> None:
        """Remove the files of a camera that is no longer watched."""
        for suffix in (".jpg", ".json"):
            try:
                (self._folder / f"{name}{suffix}").unlink(missing_ok=True)
            except OSError as error:
                _log.warning("%s: cannot be removed: %s", self._folder / name, error.strerror)

    def _is_waiting(self, name: str) -> bool:
        return name in self._waiting

    def _put(self, name: str, image: NDArray[np.uint8], about: bytes) -> None:
        with self._changed:
            self._waiting[name] = (image, about)
            self._changed.notify()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._ending:
                        return
                    self._changed.wait()
                name, (image, about) = next(iter(self._waiting.items()))
            self._write(name, image, about)
            with self._changed:
                del self._waiting[name]

    def _write(self, name: str, image: NDArray[np.uint8], about: bytes) -> None:
        try:
            done, data = load_opencv().imencode(
                ".jpg", image[..., ::-1], [load_opencv().IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            )
            self._folder.mkdir(parents=True, exist_ok=True)
            if done:
                write_whole(self._folder / f"{name}.jpg", [bytes(data)])
                write_whole(self._folder / f"{name}.json", [about])
        except Exception as error:  # noqa: BLE001 - an image of the page costs no camera
            if not self._failed:
                _log.warning("%s: cannot write the page's images: %s", self._folder, error)
            self._failed = True
            return
        self._failed = False


class _CameraView:
    """The state of one camera between two images; used in the camera's thread."""

    def __init__(
        self,
        name: str,
        settings: PageSettings,
        put: Callable[[str, NDArray[np.uint8], bytes], None],
        waiting: Callable[[str], bool],
    ) -> None:
        self._name = name
        self._every = settings.snapshot_seconds
        self._side = settings.snapshot_side_pixels
        self._put = put
        self._waiting = waiting
        self._levels: deque[float] = deque(maxlen=round(_KEPT_SECONDS / _STEP_SECONDS))
        self._step_ends = self._due = 0.0

    def add(self, frame: Frame) -> None:
        """Add the next frame."""
        now = time.monotonic()
        level = float(frame.levels(frame.luma[::_PIXEL_STEP, ::_PIXEL_STEP]).mean())
        if now >= self._step_ends or not self._levels:
            self._levels.append(level)
            self._step_ends = now + _STEP_SECONDS
        elif level > self._levels[-1]:
            self._levels[-1] = level
        if now >= self._due and not self._waiting(self._name):
            self._due = now + self._every
            self._put(self._name, frame.rgb(self._side), self._about(frame))

    def _about(self, frame: Frame) -> bytes:
        about: dict[str, Any] = {
            "camera": self._name,
            "time": time.time(),
            "utc": frame.utc,
            "step_seconds": _STEP_SECONDS,
            "levels": [round(level, 1) for level in self._levels],
        }
        return msgspec.json.encode(about)
