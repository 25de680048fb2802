"""A local camera (a number or /dev/videoN), read through OpenCV."""

import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from av import VideoFrame

from stream.capture.live.connection import Connected, Connection, DecodedFrame
from stream.capture.opencv import load_opencv
from stream.errors import OpenError, StreamError

_DEVICE = re.compile(r"\d{1,3}|/dev/.+")
_FAILED_READS = 10  # in a row: the device is gone


def is_device(address: str) -> bool:
    """Return whether `address` is a local camera: a number, or a path below /dev."""
    return _DEVICE.fullmatch(address) is not None


class DeviceConnection(Connection):
    """A reader of one local camera. Devices give no time: a frame's time is its arrival."""

    def _read(self, opened: ExitStack) -> None:
        cv2 = load_opencv()
        path = Path(f"/dev/video{self._address}") if self._address.isdigit() else Path(self._address)
        if sys.platform == "linux" and not path.exists():
            raise OpenError(f"{self._address}: there is no {path}; the cameras of this computer are: ls /dev/video*")
        source: int | str = int(self._address) if self._address.isdigit() else self._address
        capture: Any = cv2.VideoCapture(source)
        opened.callback(capture.release)
        if not capture.isOpened():
            raise OpenError(
                f"{self._address}: cannot be opened; does another program use it, and is this user in the group video?"
            )
        rate = capture.get(cv2.CAP_PROP_FPS)
        self._deliver(self, Connected(1.0 / rate if rate > 0 else 0.04, stamps=False))
        failed = 0
        while not self._release_asked.is_set() and failed < _FAILED_READS:
            good, bgr = capture.read()
            if good:
                arrival = time.monotonic()
                frame = VideoFrame.from_ndarray(bgr, format="bgr24")
                self._deliver(self, DecodedFrame(frame, arrival, time.time() - arrival))
            failed = 0 if good else failed + 1
        if failed:
            raise StreamError(f"{self._address}: the camera no longer gives frames; is it still plugged in?")
