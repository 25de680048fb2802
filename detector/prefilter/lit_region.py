"""The lit region of one flash: the blocks that it lit, their highest levels, and its core in each frame."""

from dataclasses import dataclass

import numpy as np

from detector.prefilter.blocks import Grid, Mask
from detector.prefilter.frame_change import FADING_SHARE
from detector.prefilter.light_curve import Box
from stream import load_opencv

cv2 = load_opencv()

# Blocks that rose by at least this share of the highest rise are the core of a light; noise hides its edge.
CORE_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Baseline:
    """The levels that a flash is measured against, fixed at its onset.

    Attributes:
        level: (rows, columns) levels before the onset.
        threshold: (rows, columns) levels of rise that count as lit.
        watched: (rows, columns) blocks that count.
        min_blocks: a frame with fewer lit blocks is dark.
        latest: (rows, columns) block luma of the last frame before the onset; None if unknown.
    """

    level: Grid
    threshold: Grid
    watched: Mask
    min_blocks: int
    latest: Grid | None = None


@dataclass(frozen=True, slots=True)
class LitBlocks:
    """The light of one frame.

    Attributes:
        light: sum of the rises of the lit blocks, levels times blocks.
        centroid: (x, y) of the light, shares 0..1 of the upright frame; the middle if there is none.
        peak_rise: highest rise of a block, levels.
        blocks: number of lit blocks.
        overlap: share of the smaller core of this and the previous frame that both have in common, 0..1.
        core: (left, top, right, bottom) of the core, shares 0..1; None if nothing is lit.
        core_centroid: (x, y) of the light in the core, shares 0..1; None if nothing is lit.
    """

    light: float
    centroid: tuple[float, float]
    peak_rise: float
    blocks: int
    overlap: float
    core: Box | None = None
    core_centroid: tuple[float, float] | None = None


class LitRegion:
    """The blocks that a flash lit, and the highest luma of each.

    Attributes:
        mask: (rows, columns) blocks that were lit at any time.
        peak_map: (rows, columns) highest luma of these; the baseline elsewhere.
        most_lit: largest number of blocks that were lit in one frame.
    """

    def __init__(self, baseline: Baseline) -> None:
        self.mask: Mask = np.zeros(baseline.level.shape, np.bool_)
        self.peak_map = baseline.level.copy()
        self._level = baseline.level
        self._threshold = np.float32(FADING_SHARE) * baseline.threshold
        self._core = self.mask.copy()
        self._own = baseline.watched
        self.most_lit = 0

    @property
    def peak_rise(self) -> Grid:
        """(rows, columns) highest rise of each block that lit up, levels; 0 elsewhere."""
        rise: Grid = self.peak_map - self._level
        return rise

    def leave(self, blocks: Mask) -> None:
        """Leave `blocks` to another light: what they show, and have shown, is none of this one."""
        self._own = self._own & ~blocks
        self.mask = self.mask & self._own
        self.peak_map = np.where(self.mask, self.peak_map, self._level)

    @property
    def size(self) -> int:
        """Number of blocks that were lit at any time, at least 1."""
        return max(1, int(np.count_nonzero(self.mask)))

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) of these blocks, shares 0..1; the whole frame if there are none."""
        return _box_of(self.mask) or (0.0, 0.0, 1.0, 1.0)

    def update(self, grid: Grid, sudden: Mask | None, where: Mask | None = None) -> LitBlocks:
        """Take in one frame and return its light.

        Args:
            grid: (rows, columns) its block luma.
            sudden: (rows, columns) blocks in which light of this flash rose suddenly; None where none did.
            where: (rows, columns) blocks that show this flash and no other light; None for all.

        Returns:
            The light of the frame.
        """
        rise = grid - self._level
        above = rise > self._threshold
        if sudden is not None:
            self.mask = self.mask | (sudden & above & self._own)
        self.peak_map = np.where(self.mask, np.maximum(self.peak_map, grid), self.peak_map)
        lit = self.mask & above if where is None else self.mask & above & where
        added = np.where(lit, rise, np.float32(0))
        light, centroid = _light_of(added)
        peak_rise = float(added.max())
        blocks = int(np.count_nonzero(lit))
        self.most_lit = max(self.most_lit, blocks)
        if not blocks:
            self._core = lit
            return LitBlocks(light, centroid, peak_rise, 0, 0.0)
        before, core = self._core, added > np.float32(CORE_SHARE * peak_rise)
        self._core = core
        fewer = min(int(np.count_nonzero(core)), int(np.count_nonzero(before)))
        overlap = float(np.count_nonzero(before & core)) / fewer if fewer else 0.0
        # The glare around a pulse reaches far, so its core gives the place.
        core_centroid = _light_of(np.where(core, added, np.float32(0)))[1]
        return LitBlocks(light, centroid, peak_rise, blocks, overlap, _box_of(core), core_centroid)


def _box_of(mask: Mask) -> Box | None:
    """Return (left, top, right, bottom) of the blocks in `mask`, shares 0..1; None if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    height, width = mask.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def _light_of(added: Grid) -> tuple[float, tuple[float, float]]:
    """Return the sum of `added` and its centroid (x, y), shares 0..1; the middle if there is no light."""
    moments = cv2.moments(added)
    light = moments["m00"]
    if light <= 0:
        return 0.0, (0.5, 0.5)
    rows, columns = added.shape
    return light, ((moments["m10"] / light + 0.5) / columns, (moments["m01"] / light + 0.5) / rows)
