"""The way that a whole picture went: how far a camera moved between two pictures."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import Grid
from stream import load_opencv

cv2 = load_opencv()

MOST_SHIFT = 8.0  # a fortieth of the picture; of what went further the slopes of what was there say nothing
SHIFT_STEPS = 4  # a slope tells the way only as far as it lasts: looked again from where that leads to
SHIFT_FOUND = 0.01  # fine pixels: a step so small changes nothing that could be seen
SAME_SLOPE = 1e-6  # a determinant so small beside the squared trace is rounding, in single precision
_CENTRAL_DIFFERENCE = np.array([[-0.5, 0.0, 0.5]], np.float32)


def estimate_shift(
    before: Grid, now: Grid, marks: NDArray[np.bool_], *, noise: float, start: Sequence[float] = (0.0, 0.0)
) -> tuple[NDArray[np.float64], float]:
    """The way (x, y), pixels, that brings `before` closest to `now` in `marks`, and the share that it explains, 0..1.

    All are (rows, columns). noise: standard deviation of what differs anyway, levels.
    start: where the way is sought, up to MOST_SHIFT from there.
    """
    origin, weights = np.asarray(start, np.float64), marks.ravel().astype(np.float32)
    grain = int(np.count_nonzero(marks)) * noise**2
    power = _power(now - before, weights) - grain
    best, explained = np.zeros(2), 0.0
    if power <= grain:
        return best, explained
    way, there = origin, moved(before, origin)
    for _ in range(SHIFT_STEPS):
        off = way + _step(there, now, weights) - origin
        last, way = way, origin + off * min(1.0, MOST_SHIFT / max(float(np.hypot(*off)), 1e-6))
        there = moved(before, way)
        rest = max(0.0, _power(now - there, weights) - grain)
        if 1.0 - rest / power > explained:
            best, explained = way, 1.0 - rest / power
        if np.hypot(*(way - last)) < SHIFT_FOUND:
            break
    return best, explained


def phase_correlation_shift(first: Grid, second: Grid) -> tuple[Sequence[float], float]:
    """The way (x, y), pixels, however far, by which two pictures' detail agrees best, and how well, 0..1."""
    # Of copies: OpenCV darkens the edges of what it is given, where that needs no padding.
    way, agreement = cv2.phaseCorrelate(first.copy(), second.copy(), _window(first.shape[::-1]))
    return way, agreement


def moved(picture: Grid, way: Sequence[float] | NDArray[np.floating]) -> Grid:
    """`picture` moved by `way` (x, y), pixels."""
    rows, columns = picture.shape
    centre = ((columns - 1) / 2 - way[0], (rows - 1) / 2 - way[1])
    there: Grid = cv2.getRectSubPix(picture, (columns, rows), centre)  # a tenth of the time of warpAffine
    return there


def _step(picture: Grid, other: Grid, weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """The way (x, y), pixels, from `picture` to `other`, as far as its slopes tell.

    What moves a little changes by its own slope, times the way that it went. (Lucas and Kanade, 1981)
    """
    left = (other - picture).ravel()
    # In half the time of Sobel.
    x, y = (cv2.filter2D(picture, -1, way).ravel() for way in (_CENTRAL_DIFFERENCE, _CENTRAL_DIFFERENCE.T))
    marked_x, marked_y = x * weights, y * weights
    xx, xy, yy = float(marked_x @ x), float(marked_x @ y), float(marked_y @ y)
    xd, yd = float(marked_x @ left), float(marked_y @ left)
    determinant, trace = xx * yy - xy**2, xx + yy
    if determinant > SAME_SLOPE * trace**2:
        return -np.array([yy * xd - xy * yd, xx * yd - xy * xd]) / determinant
    # All slopes point along one line: nothing tells of a way across it.
    return -np.array([xx * xd + xy * yd, xy * xd + yy * yd]) / max(trace**2, 1e-30)


def _power(values: Grid, weights: NDArray[np.float32]) -> float:
    """The weighted sum of squares."""
    return float((values.ravel() * weights) @ values.ravel())


@cache
def _window(size: tuple[int, int]) -> Grid:
    window: Grid = cv2.createHanningWindow(size, cv2.CV_32F)
    return window
