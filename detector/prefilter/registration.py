"""Image registration: the shift of a whole frame between two times."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import Grid, Mask
from stream import load_opencv

cv2 = load_opencv()

MOST_SHIFT = 8.0  # a fortieth of the frame; slopes cannot measure larger shifts
SHIFT_STEPS = 4  # iterations: a slope is valid only nearby, so the shift is estimated again from the last result
SHIFT_FOUND = 0.01  # fine pixels; a smaller step changes nothing visible
SAME_SLOPE = 1e-6  # a smaller ratio of determinant to squared trace is rounding, in single precision
_CENTRAL_DIFFERENCE = np.array([[-0.5, 0.0, 0.5]], np.float32)


def estimate_shift(
    before: Grid, now: Grid, marks: Mask, *, noise: float, start: Sequence[float] = (0.0, 0.0)
) -> tuple[NDArray[np.float64], float]:
    """Return the shift (x, y), pixels, that brings `before` closest to `now` in `marks`, and how much it explains.

    Args:
        before: (rows, columns) levels.
        now: (rows, columns) levels.
        marks: (rows, columns) pixels to compare.
        noise: standard deviation of the difference from noise alone, levels.
        start: first estimate of the shift; the result is at most `MOST_SHIFT` away.

    Returns:
        the shift, and the share 0..1 of the difference that it explains.
    """
    origin, weights = np.asarray(start, np.float64), marks.ravel().astype(np.float32)
    grain = int(np.count_nonzero(marks)) * noise**2
    power = _power(now - before, weights) - grain
    best, explained = np.zeros(2), 0.0
    if power <= grain:
        return best, explained
    shift, there = origin, translated(before, origin)
    for _ in range(SHIFT_STEPS):
        off = shift + _step(there, now, weights) - origin
        last, shift = shift, origin + off * min(1.0, MOST_SHIFT / max(float(np.hypot(*off)), 1e-6))
        there = translated(before, shift)
        rest = max(0.0, _power(now - there, weights) - grain)
        if 1.0 - rest / power > explained:
            best, explained = shift, 1.0 - rest / power
        if np.hypot(*(shift - last)) < SHIFT_FOUND:
            break
    return best, explained


def phase_correlation_shift(first: Grid, second: Grid) -> tuple[Sequence[float], float]:
    """Return the shift (x, y) in pixels by which the detail of two frames agrees best, and how well, 0..1.

    The shift may have any size.
    """
    # On copies: OpenCV darkens the edges of its input if that needs no padding.
    shift, agreement = cv2.phaseCorrelate(first.copy(), second.copy(), _window(first.shape[::-1]))
    return shift, agreement


def translated(grid: Grid, shift: Sequence[float] | NDArray[np.floating]) -> Grid:
    """Return `grid` translated by `shift` (x, y), pixels."""
    rows, columns = grid.shape
    centre = ((columns - 1) / 2 - shift[0], (rows - 1) / 2 - shift[1])
    there: Grid = cv2.getRectSubPix(grid, (columns, rows), centre)  # ten times faster than warpAffine
    return there


def _step(grid: Grid, other: Grid, weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the shift (x, y), pixels, from `grid` to `other`, estimated from slopes.

    A small shift changes each pixel by its slope times the shift (Lucas and Kanade, 1981).
    """
    left = (other - grid).ravel()
    # Twice as fast as Sobel.
    x, y = (cv2.filter2D(grid, -1, kernel).ravel() for kernel in (_CENTRAL_DIFFERENCE, _CENTRAL_DIFFERENCE.T))
    marked_x, marked_y = x * weights, y * weights
    xx, xy, yy = float(marked_x @ x), float(marked_x @ y), float(marked_y @ y)
    xd, yd = float(marked_x @ left), float(marked_y @ left)
    determinant, trace = xx * yy - xy**2, xx + yy
    if determinant > SAME_SLOPE * trace**2:
        return -np.array([yy * xd - xy * yd, xx * yd - xy * xd]) / determinant
    # All slopes point along one line, so a shift across it cannot be measured.
    return -np.array([xx * xd + xy * yd, xy * xd + yy * yd]) / max(trace**2, 1e-30)


def _power(values: Grid, weights: NDArray[np.float32]) -> float:
    """Return the weighted sum of squares."""
    return float((values.ravel() * weights) @ values.ravel())


@cache
def _window(size: tuple[int, int]) -> Grid:
    window: Grid = cv2.createHanningWindow(size, cv2.CV_32F)
    return window
