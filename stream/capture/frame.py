"""Frame: one decoded video frame and its times."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.capture.status import Clock, Quality


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded video frame and its times.

    Attributes:
        camera: name of the source.
        number: counts this source's frames from 0, over all reconnects.
        seconds: time on this source's own clock; never goes backwards.
        duration: seconds until the next frame is expected, from the stream (never a guess of 30 fps).
        luma: (height, width) uint8, or uint16 for more than 8 bits; a view of the decoder's own memory, not upright.
        black: level in `luma` that stands for black (16 for limited-range 8 bit).
        white: level in `luma` that stands for white (235 for limited-range 8 bit).
        arrival: time.monotonic() at which its packet reached this process.
        utc: capture time in seconds since 1970, or None if unknown.
        clock: where `utc` comes from: rtcp, arrival, file or none.
        utc_error_ms: bound on the error of `utc` in milliseconds, or None if unknown.
        epoch: rises where frames before and after must not be compared: a reconnect, a change of size, a jump in time.
        quality: why this frame may be damaged, e.g. ("packet_loss",); empty if no damage is known.
        rotation: degrees counter-clockwise that turn `luma` upright: 0, 90, 180 or 270.
        unfiltered: whether it was decoded without the filter of block edges (`CaptureOptions.fast`): blocks show, and
            what is missing in one frame is missing in those predicted from it, a drift until the next key frame.
        rebased: whether that drift ends with this frame.
        color: makes the upright RGB image; see `rgb`.
    """

    camera: str
    number: int
    seconds: float
    duration: float
    luma: NDArray[Any]
    black: int = 16
    white: int = 235
    arrival: float = 0.0
    utc: float | None = None
    clock: Clock = "none"
    utc_error_ms: float | None = None
    epoch: int = 0
    quality: tuple[Quality, ...] = ()
    rotation: int = 0
    unfiltered: bool = False
    rebased: bool = False
    color: Callable[[int | None], NDArray[np.uint8]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.luma.ndim != 2 or self.luma.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"luma must be (height, width) uint8 or uint16, got {self.luma.shape} {self.luma.dtype}")
        if not self.black < self.white:
            raise ValueError(f"black must be below white, got {self.black} and {self.white}")
        if self.rotation not in (0, 90, 180, 270):
            raise ValueError(f"rotation must be 0, 90, 180 or 270 degrees, got {self.rotation}")

    def levels(self, luma: NDArray[Any], pixels: int = 1) -> NDArray[np.float32]:
        """Return raw luma values as levels: 0 = black, 255 = white, for every bit depth and range.

        Args:
            luma: raw values of any shape.
            pixels: number of pixels that each value is the sum of; their mean is returned.
        """
        return (luma.astype(np.float32, copy=False) - pixels * self.black) * (
            255.0 / (pixels * (self.white - self.black))
        )

    def rgb(self, max_side: int | None = None) -> NDArray[np.uint8]:
        """Return the upright image, (height, width, 3) uint8.

        Args:
            max_side: scale down so that no side exceeds this many pixels.
        """
        if self.color is not None:
            return self.color(max_side)
        grey = np.clip(np.rot90(self.levels(self.luma), self.rotation // 90), 0, 255).astype(np.uint8)
        step = 1 if max_side is None else max(1, -(-max(grey.shape) // max_side))
        return np.repeat(grey[::step, ::step, None], 3, axis=2)
