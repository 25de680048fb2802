"""A camera at this computer (a number or /dev/videoN), read through OpenCV."""

import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from av import VideoFrame

from stream.connection import Ended, Item, Opened, Shot
from stream.errors import CannotOpen, StreamError
from stream.opencv import load_opencv

_DEVICE = re.compile(r"\d{1,3}|/dev/.+")
_FAILED_READS = 10  # in a row: the device is gone


def is_device(address: str) -> bool:
    """Whether `address` is a local camera: a number, or a path below /dev."""
    return _DEVICE.fullmatch(address) is not None


class DeviceConnection:
    """Reads one local camera in a thread of its own and passes its pictures to `deliver`.

    Devices tell no time: a picture's time is its arrival.
    """

    def __init__(self, name: str, address: str, deliver: Callable[["DeviceConnection", Item], None]) -> None:
        self._address = address
        self._deliver = deliver
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera-{name}", daemon=True)
        self._thread.start()

    def let_go(self) -> None:
        """Nobody wants more of it; returns at once."""
        self._unwanted.set()

    def join(self, seconds: float) -> bool:
        """Wait for the thread; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        error: StreamError | None = None
        try:
            self._read()
        except StreamError as problem:
            error = problem
        except Exception as problem:  # noqa: BLE001 - whatever happens here reaches the camera, as one line
            error = StreamError(f"{self._address}: {type(problem).__name__}: {problem}")
        self._deliver(self, Ended(error))

    def _read(self) -> None:
        cv2 = load_opencv()
        path = Path(f"/dev/video{self._address}") if self._address.isdigit() else Path(self._address)
        if sys.platform == "linux" and not path.exists():
            raise CannotOpen(f"{self._address}: there is no {path}; the cameras of this computer are: ls /dev/video*")
        source: int | str = int(self._address) if self._address.isdigit() else self._address
        capture: Any = cv2.VideoCapture(source)
        try:
            if not capture.isOpened():
                raise CannotOpen(
                    f"{self._address}: cannot be opened; does another program use it, and may you? (group video)"
                )
            rate = capture.get(cv2.CAP_PROP_FPS)
            self._deliver(self, Opened(1.0 / rate if rate > 0 else 0.04))
            failed = 0
            while not self._unwanted.is_set() and failed < _FAILED_READS:
                good, bgr = capture.read()
                if good:
                    arrival = time.monotonic()
                    shown = VideoFrame.from_ndarray(bgr, format="bgr24")
                    self._deliver(self, Shot(shown, arrival, time.time() - arrival))
                failed = 0 if good else failed + 1
            if failed:
                raise StreamError(f"{self._address}: the camera no longer gives pictures; is it still plugged in?")
        finally:
            capture.release()
