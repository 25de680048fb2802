"""Luma of one frame as a grid of block means."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream import Frame, load_opencv

cv2 = load_opencv()

# A hundredth of the picture, the smallest light sought, is some twenty such blocks, whose means hold little noise.
LONG_SIDE_BLOCKS = 64
SHORT_SIDE_BLOCKS = 36
# Of each block: the noise of its mean is a tenth of a pixel's then, far below what codecs leave.
BLOCK_PIXELS = 90
Grid = NDArray[np.float32]


def block_luma(frame: Frame) -> Grid:
    """Upright (rows, columns) block means of `frame`, levels 0..255; at most 64 blocks along, 36 across.

    Only some rows are read: of large pictures a tenth, at a tenth of the memory traffic. Sums are exact integers, so
    that dark clips keep fractions of a level.
    """
    return mean_luma(frame, SHORT_SIDE_BLOCKS, LONG_SIDE_BLOCKS, pixels=BLOCK_PIXELS)


def mean_luma(frame: Frame, short: int, long: int, *, pixels: int) -> Grid:
    """Upright means of `frame` over a grid of at most `long` blocks along and `short` across, levels 0..255.

    pixels: how many of each block suffice; whole rows of it are read, evenly spaced.
    """
    height, width = frame.luma.shape
    rows, columns = (short, long) if width >= height else (long, short)
    levels = frame.levels(*_block_sums(frame.luma, rows, columns, pixels))
    return np.ascontiguousarray(np.rot90(levels, frame.rotation // 90)) if frame.rotation else levels


def _block_sums(luma: NDArray[Any], rows: int, columns: int, pixels: int) -> tuple[Grid, int]:
    """The sums of raw luma over blocks, and over how many pixels each."""
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
