"""Luma of one frame as a grid of block means."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream import Frame, load_opencv

cv2 = load_opencv()

# A hundredth of the picture, the smallest light sought, is some twenty such blocks, whose means hold little noise.
LONG_SIDE_BLOCKS = 64
SHORT_SIDE_BLOCKS = 36
# Five rows of each block: what they leave of the noise of its mean is far below what codecs leave.
ROWS_READ = 180
Grid = NDArray[np.float32]


def block_luma(frame: Frame) -> Grid:
    """Upright (rows, columns) block means of `frame`, levels 0..255; at most 64 blocks along, 36 across.

    Only about 180 rows are read: a block mean over a few hundred pixels is as steady as over thousands, at a sixth of
    the memory traffic. Sums are exact integers, so that dark clips keep fractions of a level.
    """
    height = frame.luma.shape[0]
    return mean_luma(frame, SHORT_SIDE_BLOCKS, LONG_SIDE_BLOCKS, row_step=max(1, height // ROWS_READ))


def mean_luma(frame: Frame, short: int, long: int, row_step: int = 1) -> Grid:
    """Upright means of `frame` over a grid of at most `long` blocks along and `short` across, levels 0..255."""
    height, width = frame.luma.shape
    rows, columns = (short, long) if width >= height else (long, short)
    means = _block_means(frame.luma[:: max(1, min(row_step, height // rows))], rows, columns)
    levels = frame.levels(means)
    return np.ascontiguousarray(np.rot90(levels, frame.rotation // 90)) if frame.rotation else levels


def _block_means(luma: NDArray[Any], rows: int, columns: int) -> Grid:
    high = -(-luma.shape[0] // rows)
    wide = -(-luma.shape[1] // columns)
    rows, columns = luma.shape[0] // high, luma.shape[1] // wide
    # In single precision, which keeps sums of a few rows exact.
    total = np.zeros((rows, columns * wide), np.float32)
    for row in range(high):
        cv2.accumulate(luma[row : rows * high : high, : columns * wide], total)
    sums: Grid = cv2.reduce(total.reshape(-1, wide), 1, cv2.REDUCE_SUM).reshape(rows, columns)
    sums /= high * wide
    return sums
