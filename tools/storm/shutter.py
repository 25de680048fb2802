"""The shutter: the light of a flash that each row gathers in each frame."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storm.camera import Camera


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Light over time: strokes at `starts` (seconds), each decaying with its own constant; `areas` in light x s."""

    starts: NDArray[np.float64]
    areas: NDArray[np.float64]
    fades: NDArray[np.float64]

    @property
    def span(self) -> tuple[float, float]:
        """The times in seconds between which there is light to render."""
        return float(self.starts.min()), float((self.starts + 9 * self.fades).max())

    def until(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the light gathered up to each of `seconds`."""
        since = np.maximum(seconds[..., None] - self.starts, 0)
        return np.asarray((self.areas * -np.expm1(-since / self.fades)).sum(-1))

    def scaled(self, factor: float) -> "Course":
        """Return the same course with `factor` times the light."""
        return Course(self.starts, self.areas * factor, self.fades)


class Shutter:
    """The times at which each row of each frame is open: frame times (seconds), frame interval, and camera."""

    def __init__(self, times: NDArray[np.float64], frame_seconds: float, camera: Camera, rows: int) -> None:
        self.times = times
        self.frame_seconds = frame_seconds
        self._exposed = camera.exposure * frame_seconds
        self._readout = camera.readout * frame_seconds
        self._delay = self._readout * np.arange(rows) / rows if camera.readout > 0 else np.zeros(1)

    def gathered(self, course: Course, number: int) -> NDArray[np.float32] | None:
        """Return the mean light of an exposure, (rows, 1), or (1, 1) without a rolling shutter; None if none."""
        begin = float(self.times[number])
        first, last = course.span
        if begin + self._readout + self._exposed <= first or begin >= last:
            return None
        opened = begin + self._delay
        light = (course.until(opened + self._exposed) - course.until(opened)) / self._exposed
        return np.asarray(light[:, None], np.float32)

    def brightest(self, course: Course) -> float:
        """Return the most light that any row gathers in any frame."""
        first = max(0, int(np.searchsorted(self.times, course.span[0])) - 2)
        last = min(len(self.times), int(np.searchsorted(self.times, course.span[1])) + 1)
        every = (self.gathered(course, number) for number in range(first, last))
        return max((float(light.max()) for light in every if light is not None), default=0.0)

    def inside_one_frame(self, seconds: float) -> float:
        """Return a time near `seconds` at which every row is open in the same frame, if there is one."""
        begin = self._frame_at(seconds)
        return (
            begin + (self._readout + self._exposed) / 2 if self._exposed > self._readout else begin + self._exposed / 2
        )

    def across_two_frames(self, seconds: float, share: float) -> float:
        """Return a time near `seconds` that cuts the frame at `share` of its height: above in one, below before."""
        return self._frame_at(seconds) + share * self._readout

    def _frame_at(self, seconds: float) -> float:
        return float(self.times[max(0, bisect_right(self.times.tolist(), seconds + 1e-9) - 1)])
