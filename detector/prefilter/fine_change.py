"""Change between two frames at fine detail: the light added between them, and whether anything moved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import Grid, Mask, mean_luma
from detector.prefilter.change_balance import ChangeBalance
from detector.prefilter.quantile import quantile
from detector.prefilter.registration import estimate_shift, phase_correlation_shift, translated
from stream import Frame, load_opencv

cv2 = load_opencv()

# Five times the blocks of the prefilter each way: motion within a block becomes visible.
FINE_ROWS, FINE_COLUMNS = 180, 320
# Pixels read of each: two rows of a large frame, enough at this size, with at most half the memory traffic.
FINE_PIXELS = 8
# No camera dims by more than this after a flash; beyond it the scene itself is gone.
MOST_DIMMED = 0.6
# Air and cloud scatter a stroke's light far, with a slow decay; a lamp or insect ends at its edge. The lower the level
# at which the extent is measured, the clearer is the difference, down to the scene's own changes.
REACHED = 0.03
LEAST_REACHED_LEVELS = 1.0
# A twentieth of the frame's width: wider than a channel, narrower than a cloud.
SPECK_SIDE = 15
EXPLAINED = 0.7  # a shift that explains less may be larger than slopes can measure
SAME_SCENE = 0.5  # phase correlation: 1 for the same frame shifted, about 0.1 if another light hides the scene
SPECK_CONTRAST = 2.0  # ratio of levels; about five times the light, since levels follow roughly its root
SPECK_LEVELS = 32.0  # an eighth of full scale: light sources are far brighter than reflections
NEARBY_SIDE = 7  # more than twice the distance between the lines of two digits in the same place
WHITE = 235.0  # close to it the response of cameras is not linear
LEAST_DETAIL = 1.0  # one level: smaller differences may come from the codec
GRAIN_STEP = 3  # every third pixel is enough to measure noise; columns differ from row to row
BLACK = 8.0  # a thirtieth of full scale: darker places cannot show light


@dataclass(frozen=True, slots=True)
class FineChange:
    """Two frames of one camera, five times finer than the blocks of the prefilter.

    Attributes:
        before: (rows, columns) float32 levels of the earlier frame, upright.
        difference: (rows, columns) float32 levels gained since, slightly smoothed.
        noise: standard deviation of the difference from noise alone, levels.
    """

    before: Grid
    difference: Grid
    noise: float

    def change_balance(self, where: Mask, rise: float) -> ChangeBalance | None:
        """Return the noticeable changes around `where`, or None if noise hides them.

        A moving object darkens the place that it leaves, but often within one block, whose mean hides it.

        Args:
            where: blocks of any grid.
            rise: mean rise of these blocks, levels.
        """
        # Light is uneven: at 0.7 of its mean it must still stand out from noise.
        if 4.0 * self.noise > 0.7 * rise:
            return None
        # Only changes beyond noise and two levels, a codec's step, count: many pixels just above that must not
        # outvote a small light.
        gate, marks = max(2.0, 4.0 * self.noise), self.dilated(where).view(np.uint8)
        return ChangeBalance(_beyond(self.difference, gate, marks), _beyond(-self.difference, gate, marks))

    def smoothness(self, where: Mask) -> float | None:
        """Return the share of the rise in `where` left after smoothing over a tenth of the frame: 1 = a wide glow.

        Return None if noise is most of the difference.
        """
        rows, columns = self.difference.shape
        side = max(3, min(rows, columns) // 10 | 1)
        marks = self.dilated(where)
        wide = cv2.blur(self.difference, (side, side))[marks]
        power = float((self.difference[marks] ** 2).sum())
        grain = float(np.count_nonzero(marks) * self.noise**2)
        return None if power < 4 * grain else min(1.0, float((wide * wide).sum()) / (power - grain))

    def glow_extent(self) -> float | None:
        """Return the share 0..1 of the frame whose rise is a tenth of the highest or more, at the size of a few blocks.

        Counted are places that rise by three hundredths of the highest rise, or by one level if that is more, since
        cameras and codecs show no less. The count is scaled to a tenth as for a Gaussian spot, whose area grows with
        the logarithm; a light with a wider glow gets a larger share. None if one level is more than a fifth of the
        highest rise.
        """
        blocks = cv2.blur(cv2.resize(self.difference, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA), (3, 3))
        top = float(blocks.max())
        if top < 5.0 * LEAST_REACHED_LEVELS:
            return None
        least = max(LEAST_REACHED_LEVELS, REACHED * top)
        return min(1.0, float(np.mean(blocks > least)) * math.log(10.0) / math.log(top / least))

    def point_sources(self) -> int:
        """Return the number of separate new points, far brighter than their surroundings in change and in level.

        Drops, glints and moving texture change as much, but they only reflect light that reaches their surroundings,
        too. Points that nearly touch count as one: clouds and codecs break a channel into pieces that lie end to end.
        Lamps of a town that a shaken camera shows elsewhere, and digits of a clock in the frame, are not counted:
        something as bright was there before, or beside it.
        """
        before = cv2.blur(self.before, (3, 3))
        now = before + self.difference
        difference = now - _shifted_to(before, now)
        wide = _blurred(difference)
        fine = difference - wide
        marks = (fine > max(SPECK_LEVELS, 6.0 * self.noise)) & (fine > wide)
        marks &= now > np.float32(SPECK_CONTRAST) * _blurred(now)
        marks &= now > cv2.dilate(self.before, np.ones((NEARBY_SIDE, NEARBY_SIDE), np.uint8))
        joined = cv2.dilate(marks.astype(np.uint8), np.ones((3, 3), np.uint8))
        return int(cv2.connectedComponents(joined)[0]) - 1

    def gain_likeness(self) -> float:
        """Return how well a change of gain alone explains the rise, 0..1.

        Two explanations are compared by their residuals: a rise in proportion to the level, and the same rise
        everywhere. Blocks that are white before or after are left out, and so are blocks that stay black: the bars
        beside an upright video and the corners around an all-sky image cannot show light.
        """
        before, rise = self._coarse()
        # A few blocks may be in proportion to their levels by chance.
        open_ = (before < WHITE) & (before + rise < WHITE)
        open_ &= (before > BLACK) | (np.abs(rise) > LEAST_REACHED_LEVELS)
        before, rise = np.maximum(before[open_], 0), rise[open_]
        power = float((before * before).sum())
        uneven = float(((rise - rise.mean()) ** 2).sum()) if rise.size > 50 else 0.0
        if power <= 0 or uneven <= rise.size * self.noise**2:
            return 0.0
        factor = float((rise * before).sum()) / power
        return max(0.0, 1.0 - float(((rise - np.float32(factor) * before) ** 2).sum()) / uneven)

    def unevenness(self) -> float | None:
        """Return the residual of the rise after the best fade to white, divided by the mean rise.

        In such a fade every place rises by the same share of its headroom. The fifth of the frame with the largest
        residuals is left out, since something may move or be written there, unless it is the light itself: the loss of
        mean rise counts as well. None if most of the frame is white, or nothing rose.
        """
        before, rise = self._coarse()
        open_ = (before < WHITE) & (before + rise < WHITE)
        headroom, rise = 255.0 - before[open_], rise[open_]
        mean = float(rise.mean()) if 2 * rise.size > open_.size else 0.0
        if mean <= 0:
            return None
        even = headroom * np.float32(quantile(rise / headroom))
        return max(quantile(np.abs(rise - even), 0.8), mean - float(even.mean())) / mean

    def detail_kept(self, *, turned: bool = False) -> float | None:
        """Return how similar the fine detail of both frames is, up to 1, for any gain; None if a frame has no detail.

        Args:
            turned: whether the camera may have turned between the frames.
        """
        before = cv2.blur(self.before, (3, 3))
        first, second = (grid - _blurred(grid) for grid in (before, before + self.difference))
        if min(_deviation(first), _deviation(second)) <= LEAST_DETAIL:
            return None
        aligned = [first, translated(first, phase_correlation_shift(first, second)[0])] if turned else [first]
        # A shift may leave no detail, so the detail before is the measure.
        return max(float(np.mean(one * second)) for one in aligned) / (_deviation(first) * _deviation(second))

    def stabilised(self, where: Mask) -> "tuple[FineChange, float]":
        """Return the change with the shift of the whole frame undone, and the share 0..1 that the shift explains.

        Args:
            where: blocks of any grid, around which the shift is estimated.
        """
        marks = self.dilated(where)
        # Edges show the shift directly; a sky without edges shows it only after smoothing away the noise.
        shift, explained = max((self._aligned(marks, side) for side in (1, SPECK_SIDE)), key=lambda found: found[1])
        before = cv2.blur(self.before, (3, 3))
        far = _shift_of(before, before + self.difference) if explained < EXPLAINED else None
        if far is not None:
            shift, explained = max((shift, explained), self._aligned(marks, 1, far), key=lambda found: found[1])
        steady = translated(before, shift)
        return FineChange(before=steady, difference=before + self.difference - steady, noise=self.noise), explained

    def _coarse(self) -> tuple[Grid, Grid]:
        """Return `before` and `difference` at the size of blocks."""
        before, rise = (
            cv2.resize(grid, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
            for grid in (self.before, self.difference)
        )
        return before, rise

    def _aligned(
        self, marks: Mask, side: int, start: Sequence[float] = (0.0, 0.0)
    ) -> tuple[NDArray[np.float64], float]:
        """Return the shift of detail larger than `side`, and the share that it explains; see `estimate_shift`."""
        # The difference is smoothed over three pixels already.
        before = cv2.blur(self.before, (side + 2, side + 2))
        now = before + cv2.blur(self.difference, (side, side))
        return estimate_shift(before, now, marks, noise=self.noise / side, start=start)

    def residual_after_gain(self, where: Mask) -> float:
        """Return the mean change in `where`, levels, that no common gain and offset of the whole frame explains."""
        spread = self.before - self.before.mean()
        power = float((spread * spread).sum())
        factor = float((self.difference * spread).sum()) / power if power > 0 else 0.0
        factor = max(factor, -MOST_DIMMED)
        rest = self.difference - self.difference.mean() - np.float32(factor) * spread
        return float(np.maximum(np.abs(rest[self.dilated(where)]) - 3.0 * self.noise, 0).mean())

    def dilated(self, where: Mask) -> Mask:
        """Return the pixels of the blocks `where`, extended by five blocks on each side."""
        wide = cv2.dilate(where.view(np.uint8), np.ones((11, 11), np.uint8))
        rows, columns = self.difference.shape
        marks: Mask = cv2.resize(wide, (columns, rows), interpolation=cv2.INTER_NEAREST).view(np.bool_)
        return marks


def _beyond(difference: Grid, gate: float, marks: NDArray[np.uint8]) -> float:
    """Return the sum of the rises beyond `gate` in `marks`."""
    beyond = np.maximum(difference - np.float32(gate), np.float32(0))
    mean, count = cv2.mean(beyond, marks)[0], cv2.countNonZero(marks)
    return float(mean * count)


def _shifted_to(before: Grid, now: Grid) -> Grid:
    """Return `before` shifted as the whole frame was until `now`; unchanged if the two do not agree."""
    shift = _shift_of(before, now)
    return before if shift is None else translated(before, shift)


def _shift_of(before: Grid, now: Grid) -> Sequence[float] | None:
    """Return the shift (x, y) of the whole frame in fine pixels, of any size; None if the two do not agree."""
    shift, agreement = phase_correlation_shift(before - _blurred(before), now - _blurred(now))
    return shift if agreement >= SAME_SCENE else None


def _deviation(detail: Grid) -> float:
    """Return the standard deviation of values whose mean is nearly 0."""
    return float(np.sqrt(np.mean(detail * detail)))


def _blurred(grid: Grid) -> Grid:
    blurred: Grid = cv2.blur(grid, (SPECK_SIDE, SPECK_SIDE))
    return blurred


def change(before: Frame, now: Frame) -> FineChange | None:
    """Return the change between two frames of one camera, or None if their sizes differ."""
    return change_between(fine_luma(before), fine_luma(now)) if before.luma.shape == now.luma.shape else None


def fine_luma(frame: Frame) -> Grid:
    """Return the means of `frame` over the fine grid, levels."""
    return mean_luma(frame, FINE_ROWS, FINE_COLUMNS, pixels=FINE_PIXELS)


def change_between(first: Grid, second: Grid) -> FineChange:
    """Return the change between two frames, given as `fine_luma` of each."""
    raw = second - first
    smooth = cv2.blur(raw, (3, 3))
    # A 3x3 mean leaves 1/3 of independent noise; the removed part is the rest.
    grain = np.abs((raw - smooth).ravel()[::GRAIN_STEP])
    middle = grain.size // 2
    usual = float(np.partition(grain, middle)[middle])
    return FineChange(before=first, difference=smooth, noise=1.4826 * usual / math.sqrt(8.0 / 9.0) / 3.0)
