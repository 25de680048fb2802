"""Block luma: one frame as a grid of block means, and the watched blocks of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream import Frame, load_opencv

cv2 = load_opencv()

# The smallest flash looked for has 1 % of the frame: some twenty such blocks, whose means have little noise.
LONG_SIDE_BLOCKS = 64
SHORT_SIDE_BLOCKS = 36
# Pixels read of each block: the noise of its mean is then a tenth of a pixel's, far below a codec's.
BLOCK_PIXELS = 90
# Also in a small watched area: one block alone may be a hot pixel or an insect.
LEAST_LIT_BLOCKS = 2
Grid = NDArray[np.float32]
Mask = NDArray[np.bool_]
Polygon = Sequence[tuple[float, float]]
Region = tuple[float, float, float, float]


class WatchedArea:
    """The part of a camera's frames in which flashes are looked for.

    Attributes:
        blocks: (rows, columns) watched blocks; empty before the first `fit`.
        count: number of watched blocks.
    """

    def __init__(self, mask: Sequence[Polygon] = (), region: Region | None = None) -> None:
        """Watch the part given by `mask` and `region`; see `watched_blocks`."""
        self._mask = tuple(mask)
        self._region = region
        self.blocks: Mask = np.zeros((0, 0), np.bool_)
        self.count = 0

    def fit(self, shape: tuple[int, ...]) -> None:
        """Mark the blocks of a grid of `shape`."""
        self.blocks = watched_blocks(shape, self._mask, self._region)
        self.count = int(np.count_nonzero(self.blocks))

    def blocks_in(self, fraction: float) -> int:
        """Return how many blocks make up `fraction` of the watched area, at least two."""
        return max(LEAST_LIT_BLOCKS, round(fraction * self.count))


def block_luma(frame: Frame) -> Grid:
    """Return the upright (rows, columns) block means of `frame`, levels 0..255; at most 64 by 36 blocks.

    Only some rows are read: a tenth of a large frame, with a tenth of the memory traffic. Sums are exact integers, so
    that dark clips keep fractions of a level.
    """
    return mean_luma(frame, SHORT_SIDE_BLOCKS, LONG_SIDE_BLOCKS, pixels=BLOCK_PIXELS)


def mean_luma(frame: Frame, short: int, long: int, *, pixels: int) -> Grid:
    """Return upright means of `frame`, levels 0..255, over a grid of at most `long` by `short` blocks.

    Args:
        frame: the frame.
        short: blocks along its shorter side.
        long: blocks along its longer side.
        pixels: number of pixels to read of each block at least, in whole, evenly spaced rows.
    """
    height, width = frame.luma.shape
    rows, columns = (short, long) if width >= height else (long, short)
    levels = frame.levels(*_block_sums(frame.luma, rows, columns, pixels))
    return np.ascontiguousarray(np.rot90(levels, frame.rotation // 90)) if frame.rotation else levels


def watched_blocks(shape: tuple[int, ...], mask: Sequence[Polygon], region: Region | None) -> Mask:
    """Return the (rows, columns) blocks whose centre lies in `region` and in no polygon of `mask`.

    Args:
        shape: rows and columns of the grid.
        mask: polygons ((x, y), ...) to leave out, in shares 0..1 of the upright frame.
        region: (left, top, right, bottom) to watch, in the same shares; None for the whole frame.
    """
    rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    x, y = (x + 0.5) / columns, (y + 0.5) / rows
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    watched: Mask = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    for polygon in mask:
        watched &= ~_inside(polygon, x, y)
    return watched


def _inside(polygon: Polygon, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Return which points are inside, by counting the edges that a ray to the right crosses."""
    inside = np.zeros(x.shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y1 == y2:
            continue
        crosses = ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        inside ^= crosses
    return inside


def _block_sums(luma: NDArray[Any], rows: int, columns: int, pixels: int) -> tuple[Grid, int]:
    """Return the sums of raw luma over blocks, and the number of pixels in each sum."""
    high, wide = -(-luma.shape[0] // rows), -(-luma.shape[1] // columns)
    rows, columns = luma.shape[0] // high, luma.shape[1] // wide
    count = min(high, -(-pixels // wide))
    spacing = high // count
    read = (luma[row : rows * high : high, : columns * wide] for row in range(0, high, spacing)[:count])
    # In single precision, which keeps sums of a few rows exact.
    total = next(read).astype(np.float32)
    for row in read:
        cv2.accumulate(row, total)
    sums: Grid = cv2.reduce(total.reshape(-1, wide), 1, cv2.REDUCE_SUM).reshape(rows, columns)
    return sums, count * wide
