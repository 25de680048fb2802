"""Which blocks of a picture are watched: masks and regions of interest."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Polygon = Sequence[tuple[float, float]]
Region = tuple[float, float, float, float]


def watched_blocks(shape: tuple[int, ...], mask: Sequence[Polygon], region: Region | None) -> NDArray[np.bool_]:
    """(rows, columns) blocks whose centre lies in `region` and in no polygon of `mask`; all shares of the picture."""
    rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    x, y = (x + 0.5) / columns, (y + 0.5) / rows
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    watched: NDArray[np.bool_] = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    for polygon in mask:
        watched &= ~_inside(polygon, x, y)
    return watched


def _inside(polygon: Polygon, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie inside, by counting the edges that a ray to the right crosses."""
    inside = np.zeros(x.shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y1 == y2:
            continue
        crosses = ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        inside ^= crosses
    return inside
