"""What one frame shows against the background: which blocks rose, how suddenly, and what got darker meanwhile."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import Grid
from detector.prefilter.change_balance import NO_CHANGE, ChangeBalance
from detector.prefilter.scene import Thresholds
from stream import load_opencv

cv2 = load_opencv()

# So much of the rise over the background came within the last `step_seconds`; a steady climb gives at most half.
SUDDEN_SHARE = 0.65
# A block that lit up, or beside one that did, counts down to this share of its threshold: where light is known to be,
# less is needed to follow it than to find it.
FADING_SHARE = 0.6
# Of a light that is just as large as asked for, noise hides a few blocks (of those at its threshold, half): this share
# is enough if their neighbours glow.
SURE_SHARE = 0.7

# What changes by less than this share of what counts as lit is exposure or the codec.
NOTICEABLE_SHARE = 0.5


@dataclass(frozen=True)
class FrameChange:
    """What one frame shows, all over the watched blocks.

    grid, earlier: (rows, columns) its levels, and those of a moment ago.
    scene: what it is compared with.
    least_blocks: how many sudden blocks make an onset.
    usual: what changes in this scene without any light.
    most_blocks: no more than so many rose, whatever their thresholds.
    """

    grid: Grid
    earlier: Grid
    scene: Thresholds
    least_blocks: float
    usual: ChangeBalance = NO_CHANGE
    most_blocks: float = math.inf

    @property
    def calm(self) -> bool:
        """Whether it is known already that too few blocks rose for an onset."""
        return self.most_blocks < SURE_SHARE * self.least_blocks

    @cached_property
    def step(self) -> Grid:
        """(rows, columns) what the levels rose by since a moment ago."""
        return self.grid - self.earlier

    @cached_property
    def rise(self) -> Grid:
        """(rows, columns) levels above the background."""
        return self.grid - self.scene.level

    @cached_property
    def sudden(self) -> NDArray[np.bool_]:
        """(rows, columns) blocks that rose above their threshold just now; where these are few, what glows beside too.

        Lightning is sudden and adds to what was there: most of the rise over the background came just now. A rise out
        of a short dark spell (wiper, exposure dip) is no rise over the background.
        """
        # Of most calm frames that is known without a median.
        if self.calm and not (self.grid - self.scene.lowest > self.scene.threshold).any():
            return np.zeros(self.grid.shape, np.bool_)
        just_now = self._came_since(self.earlier)
        sure: NDArray[np.bool_] = self.above & just_now
        if not SURE_SHARE * self.least_blocks <= np.count_nonzero(sure) < self.least_blocks:
            return sure
        # Light has no holes, and its edge is fainter.
        beside = cv2.dilate(sure.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        fading = self.rise > np.float32(FADING_SHARE) * self.scene.threshold
        grown: NDArray[np.bool_] = beside & just_now & fading & self.scene.watched
        return grown

    def since(self, earlier: Grid) -> "FrameChange":
        """The same frame against `earlier`, if enough blocks rose since that for an onset; else this look."""
        # While a flash is open most frames do not: that is known before all is made anew.
        if np.count_nonzero(self.above & self._came_since(earlier)) < SURE_SHARE * self.least_blocks:
            return self
        look = replace(self, earlier=earlier)
        return look if look.sudden_blocks >= look.least_blocks else self

    def _came_since(self, earlier: Grid) -> NDArray[np.bool_]:
        came: NDArray[np.bool_] = self.grid - earlier > np.float32(SUDDEN_SHARE) * self.rise
        return came

    @cached_property
    def sudden_blocks(self) -> int:
        """How many blocks rose just now."""
        return int(np.count_nonzero(self.sudden)) if self.most_blocks > 0 else 0

    @cached_property
    def above(self) -> NDArray[np.bool_]:
        """(rows, columns) blocks above the threshold, since whenever."""
        return (self.rise > self.scene.threshold) & self.scene.watched

    @cached_property
    def above_blocks(self) -> int:
        """How many these are."""
        return int(np.count_nonzero(self.above))

    def suddenness(self, before: "FrameChange | None") -> float:
        """Share of the blocks that came above the threshold with this frame, 0..1, that got there just now.

        What drifts about (clouds, exposure) may be above it anywhere else, and since `before`, the frame before.
        """
        come = self.above if before is None else self.above & (self.sudden | ~before.above)
        count = int(np.count_nonzero(come))
        return np.count_nonzero(self.sudden & come) / count if count else 0.0

    @cached_property
    def positivity(self) -> float:
        """Share of rises in all noticeable changes, 0..1.

        What falls beside the light counts whatever the scene does elsewhere: it may be the light that moved.
        """
        near = cv2.dilate(self.sudden.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        beside = float(np.maximum(-self._noticeable(self.scene.noise)[near], 0).sum())
        far = ChangeBalance(self.stir.gained, max(0.0, self.stir.lost - beside))
        excused = far.lost - far.beyond(self.usual).lost
        return ChangeBalance(self.stir.gained, self.stir.lost - excused).positivity()

    @cached_property
    def stir(self) -> ChangeBalance:
        """The noticeable changes since a moment ago, falls by noise alone left out."""
        return self.stir_beyond(self.scene.noise)

    def stir_beyond(self, noise: Grid) -> ChangeBalance:
        """The same for another `noise` than what was known before the frame."""
        changes = self._noticeable(noise)
        # What noise darkens beyond three deviations in so many blocks (0.0044 deviations each, if it is normal) is no
        # motion.
        by_noise = 0.0044 * 2**0.5 * float(noise[self.scene.watched].sum())
        gained = float(np.maximum(changes, 0).sum())
        return ChangeBalance(gained, max(0.0, gained - float(changes.sum()) - by_noise))

    def _noticeable(self, noise: Grid) -> Grid:
        # Nor less than three standard deviations of the difference of two pictures: that would drown light in noise.
        least = np.maximum(np.float32(NOTICEABLE_SHARE) * self.scene.threshold, np.float32(3 * 2**0.5) * noise)
        changes: Grid = np.where(self.scene.watched & (np.abs(self.step) > least), self.step, np.float32(0))
        return changes
