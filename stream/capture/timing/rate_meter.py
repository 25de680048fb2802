"""Measure the rate of a clock against arrival: a straight line through the fastest packets of each 0.4 s."""

from collections import deque
from dataclasses import dataclass
from itertools import islice

_BUCKET_SECONDS = 0.4
_BUCKET_FRAMES = 3  # least frames in a bucket: the fastest of one is not a minimum
_STALL_SECONDS = 1.0
_STALL_FRAMES = 5.0
_MOST_BUCKETS = 20
# (buckets, least slope, least rise in seconds): a steeper line is certain sooner.
_WINDOWS = ((4, 0.2, 0.2), (10, 0.04, 0.12), (_MOST_BUCKETS, 0.008, 0.06))
_CERTAIN = 5.0  # the rise in standard deviations of the points from their line; jitter alone stays below


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through the buckets.

    Attributes:
        slope: seconds gained per second of arrival.
        rise: seconds gained from the first bucket to the last.
        spread: standard deviation of the buckets from the line, in seconds.
    """

    slope: float
    rise: float
    spread: float


class RateMeter:
    """Measure in buckets how an offset (arrival minus another clock) changes.

    Network jitter only delays, so the least offset of a bucket is the most reliable; a stall leaves a gap, and a burst
    returns to the least offset. An offset that moves along a line means that the clocks run at different rates.
    """

    def __init__(self) -> None:
        self._buckets: deque[tuple[float, float]] = deque(maxlen=_MOST_BUCKETS)
        self._began: float | None = None
        self._count = 0
        self._least = (0.0, 0.0)
        self._last = 0.0
        self._interval = 0.0  # seconds between frames in the last bucket

    def clear(self) -> None:
        """Remove all measurements."""
        self._buckets.clear()
        self._began = None

    def add(self, arrival: float, offset: float) -> bool:
        """Add a frame, and return whether a bucket was completed, so that `slope` may have changed."""
        gap, self._last = arrival - self._last, arrival
        if self._began is None:
            self._open(arrival, offset)
            return False
        if gap > max(_STALL_SECONDS, _STALL_FRAMES * self._interval):
            self.clear()  # a stall is not a rate, and one outlier would dominate the line
            return False
        if arrival - self._began < _BUCKET_SECONDS or self._count < _BUCKET_FRAMES:
            self._count += 1
            if offset < self._least[1]:
                self._least = arrival, offset
            return False
        self._interval = (arrival - self._began) / self._count
        self._buckets.append(self._least)
        self._open(arrival, offset)
        return True

    def _open(self, arrival: float, offset: float) -> None:
        self._began, self._count, self._least = arrival, 1, (arrival, offset)

    def slope(self) -> float:
        """Return the seconds gained per second of arrival; 0 unless certain."""
        for count, least_slope, least_rise in _WINDOWS:
            line = self._line(count)
            if line is None:
                return 0.0
            certain = abs(line.rise) > _CERTAIN * line.spread
            if certain and abs(line.slope) >= least_slope and abs(line.rise) >= least_rise:
                return line.slope
        return 0.0

    def is_steady(self) -> bool:
        """Return whether the longest window is full and shows no certain drift."""
        line = self._line(_MOST_BUCKETS)
        _, least_slope, least_rise = _WINDOWS[-1]
        return line is not None and (abs(line.slope) < least_slope / 2 or abs(line.rise) < least_rise / 2)

    def _line(self, count: int) -> Line | None:
        """Return the line through the last `count` buckets, or None while there are fewer."""
        have = len(self._buckets)
        if have < count:
            return None
        points = list(islice(self._buckets, have - count, have))
        mean_x = sum(x for x, _ in points) / count
        mean_y = sum(y for _, y in points) / count
        square = sum((x - mean_x) ** 2 for x, _ in points)
        if square <= 0:
            return None
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / square
        rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
        rise = slope * (points[-1][0] - points[0][0])
        return Line(slope, rise, (rest / max(1, count - 2)) ** 0.5)
