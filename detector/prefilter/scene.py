"""What one frame is compared with: what its scene looks like and does without a flash, as far as known before it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.background import BackgroundEstimate
from detector.prefilter.blocks import Grid


@dataclass(frozen=True)
class Thresholds:
    """What is known before a frame; grids are made when first asked for, which most frames of a quiet scene never do.

    known: the background and its noise, as they were before the frame.
    recovering: (rows, columns) levels to which an exposure that a flash lowered comes back, or None.
    habit: (rows, columns) levels by which lamps that keep time rise, or None.
    watched: (rows, columns) blocks that count.
    least_rise: levels, below which no block's threshold lies.
    noise_factor, swing_factor: a threshold in terms of the noise and of the largest change lately.
    """

    known: BackgroundEstimate
    recovering: Grid | None
    habit: Grid | None
    watched: NDArray[np.bool_]
    least_rise: float
    noise_factor: float
    swing_factor: float

    @cached_property
    def level(self) -> Grid:
        """(rows, columns) levels of each block without a flash, the recovery of the exposure allowed for."""
        ground = self.known.ground
        return ground if self.recovering is None else np.maximum(ground, self.recovering)

    @property
    def lowest(self) -> Grid:
        """(rows, columns) what no level is below: the middle one of three lies between any two of them."""
        return np.minimum(self.known.recent, self.known.older)

    @cached_property
    def threshold(self) -> Grid:
        """(rows, columns) levels of rise that count as lit."""
        noise, swing = self.known.noise, self.known.swing
        if noise is None or swing is None:
            # One picture is all there is to compare with, and exposure settles by several levels from each to the next.
            return np.full(self.watched.shape, 2 * self.least_rise, np.float32)
        threshold = noise * np.float32(self.noise_factor)
        np.maximum(threshold, np.float32(self.least_rise), out=threshold)
        np.maximum(threshold, swing * np.float32(self.swing_factor), out=threshold)
        return threshold if self.habit is None else np.maximum(threshold, self.habit)

    @cached_property
    def noise(self) -> Grid:
        """(rows, columns) standard deviation of one block, levels; 0 while nothing is known."""
        return np.zeros(self.watched.shape, np.float32) if self.known.noise is None else self.known.noise
