"""A closer look at two pictures: what was added between them, and whether anything moved."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.brightness import Grid, mean_luma
from stream import Frame, load_opencv

cv2 = load_opencv()

FINE_ROWS, FINE_COLUMNS = 180, 320


@dataclass(frozen=True, slots=True)
class Change:
    """Two pictures of one camera, five times finer than the blocks of the prefilter.

    before, difference: (rows, columns) float32 levels, upright; the difference is slightly smoothed.
    noise: standard deviation of the difference by noise alone, levels.
    """

    before: Grid
    difference: Grid
    noise: float

    def positivity(self, where: NDArray[np.bool_] | None = None) -> float:
        """Sum of rises over the sum of all noticeable changes, 0..1; `where` (any grid) restricts it.

        Added light darkens nothing. Whatever moves darkens the place that it leaves, but often within one block, whose
        mean then hides it: hence at this size.
        """
        noticeable = np.where(np.abs(self.difference) > max(2.0, 4.0 * self.noise), self.difference, np.float32(0))
        if where is not None:
            noticeable[~self.spread(where)] = 0.0
        total = float(np.abs(noticeable).sum())
        return float(np.maximum(noticeable, 0).sum()) / total if total > 0 else 0.0

    def spread(self, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A coarse grid of marks on this picture, with five blocks more on each side."""
        wide = cv2.dilate(where.astype(np.uint8), np.ones((11, 11), np.uint8))
        rows, columns = self.difference.shape
        marks: NDArray[np.bool_] = cv2.resize(wide, (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
        return marks


def change(before: Frame, now: Frame) -> Change | None:
    """What differs between two frames of one camera, or None when they are of different sizes."""
    if before.luma.shape != now.luma.shape:
        return None
    first, second = (mean_luma(frame, FINE_ROWS, FINE_COLUMNS) for frame in (before, now))
    raw = second - first
    smooth = cv2.blur(raw, (3, 3))
    # What a 3x3 mean leaves of independent noise is 1/3; what it takes away is the rest.
    grain = np.abs(raw - smooth)
    noise = 1.4826 * float(np.median(grain)) / np.sqrt(8.0 / 9.0) / 3.0
    return Change(before=first, difference=smooth, noise=noise)
