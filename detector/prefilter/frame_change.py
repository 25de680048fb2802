"""First stage: the blocks of a frame that rose above the background, how suddenly, and those that became darker."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from detector.prefilter.background import Background, Thresholds
from detector.prefilter.blocks import Grid, Mask, WatchedArea
from detector.prefilter.change_balance import NO_CHANGE, ChangeBalance
from detector.settings import PrefilterSettings
from stream import load_opencv

cv2 = load_opencv()

# Share of the rise over the background that came within the last `step_seconds`; a steady climb gives at most half.
SUDDEN_SHARE = 0.65
# A block that lit up, or its neighbour, counts down to this share of its threshold: following a known light needs less
# than finding it.
FADING_SHARE = 0.6
# Of the smallest light that counts, noise hides a few blocks (half of those at the threshold): this share is enough if
# the neighbours glow.
SURE_SHARE = 0.7
# Changes below this share of the threshold come from exposure or the codec.
NOTICEABLE_SHARE = 0.5
# The scene's own changes are no evidence up to this multiple of their average: about the spread of such counts, which
# come in clusters.
CLUTTER_FACTOR = 2.0


class ChangeDetector:
    """Measure the change of each frame against the background of its camera."""

    def __init__(self, settings: PrefilterSettings, background: Background, area: WatchedArea) -> None:
        self._settings = settings
        self._background = background
        self._area = area

    def measure(self, seconds: float, grid: Grid, periodic_level: Grid | None) -> "FrameChange | None":
        """Return the change of a frame, or None if there is no background yet.

        Args:
            seconds: time of the frame.
            grid: (rows, columns) block luma of the frame.
            periodic_level: (rows, columns) levels by which periodic lamps rise, or None.
        """
        background, settings = self._background, self._settings
        known, latest = background.known(seconds), background.latest
        if known is None or latest is None:
            return None
        # Noise from a few frames is only an estimate, and cameras settle their exposure after opening: up to twice as
        # much is required then.
        caution = 1.0 + max(0.0, 1.0 - background.age_seconds / settings.warm_up_seconds)
        scene = Thresholds(
            known,
            recovery_level=background.recovery.level(seconds),
            periodic_level=periodic_level,
            watched=self._area.blocks,
            least_rise=settings.min_rise_levels * caution,
            noise_factor=settings.noise_factor * caution,
            swing_factor=settings.swing_factor,
        )
        # Most frames are dismissed by an upper bound: too few blocks rose, whatever their thresholds.
        lowest = latest if known.recent is latest else np.minimum(known.recent, latest)
        change = FrameChange(
            grid=grid,
            earlier=known.recent,
            scene=scene,
            # If blocks jump in every frame (stars, rain, water), light must exceed that.
            least_blocks=self._area.blocks_in(settings.min_lit_fraction * caution)
            + CLUTTER_FACTOR * background.clutter_blocks,
            clutter=background.clutter * CLUTTER_FACTOR,
            most_blocks=int(np.count_nonzero(grid - lowest > SUDDEN_SHARE * scene.least_rise)),
        )
        if not change.calm and change.sudden_blocks < change.least_blocks <= change.above_blocks:
            # A pulse after a dark frame, when the frame of `step_seconds` ago showed the previous pulse.
            return change.since(latest)
        return change


@dataclass(frozen=True)
class FrameChange:
    """Change between a frame and its background, per block.

    Attributes:
        grid: (rows, columns) block luma of the frame.
        earlier: (rows, columns) block luma of `step_seconds` ago.
        scene: background and thresholds that the frame is compared with.
        least_blocks: least number of sudden blocks for an onset.
        clutter: usual change of this scene without light.
        most_blocks: upper bound of the blocks that rose, whatever their thresholds.
    """

    grid: Grid
    earlier: Grid
    scene: Thresholds
    least_blocks: float
    clutter: ChangeBalance = NO_CHANGE
    most_blocks: float = math.inf

    @property
    def calm(self) -> bool:
        """Whether too few blocks rose for an onset, as known without further computation."""
        return self.most_blocks < SURE_SHARE * self.least_blocks

    @cached_property
    def step(self) -> Grid:
        """(rows, columns) levels gained since `earlier`."""
        return self.grid - self.earlier

    @cached_property
    def rise(self) -> Grid:
        """(rows, columns) levels above the background."""
        return self.grid - self.scene.level

    @cached_property
    def sudden(self) -> Mask:
        """(rows, columns) blocks that rose above their threshold suddenly; if these are few, glowing neighbours too.

        Lightning is sudden and adds to the background: most of the rise came within `step_seconds`. A rise out of a
        short dark period (wiper, exposure dip) is not a rise over the background.
        """
        # For most calm frames this is known without a median.
        if self.calm and not (self.grid - self.scene.lowest > self.scene.threshold).any():
            return np.zeros(self.grid.shape, np.bool_)
        just_now = self._came_since(self.earlier)
        sure: Mask = self.above & just_now
        if not SURE_SHARE * self.least_blocks <= np.count_nonzero(sure) < self.least_blocks:
            return sure
        # Light has no holes, and its edge is fainter.
        beside = cv2.dilate(sure.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        fading = self.rise > np.float32(FADING_SHARE) * self.scene.threshold
        grown: Mask = beside & just_now & fading & self.scene.watched
        return grown

    def within(self, blocks: Mask) -> "FrameChange":
        """Return the same change with no other blocks watched than `blocks`."""
        scene = replace(self.scene, watched=self.scene.watched & blocks)
        return replace(self, scene=scene)

    def since(self, earlier: Grid) -> "FrameChange":
        """Return the change since `earlier`, if enough blocks rose since then for an onset; else this change."""
        # While a flash is open most frames have too few, as the bound shows before all is computed again.
        if np.count_nonzero(self.above & self._came_since(earlier)) < SURE_SHARE * self.least_blocks:
            return self
        change = replace(self, earlier=earlier)
        return change if change.sudden_blocks >= change.least_blocks else self

    def _came_since(self, earlier: Grid) -> Mask:
        came: Mask = self.grid - earlier > np.float32(SUDDEN_SHARE) * self.rise
        return came

    @cached_property
    def sudden_blocks(self) -> int:
        """Number of `sudden` blocks."""
        return int(np.count_nonzero(self.sudden)) if self.most_blocks > 0 else 0

    @cached_property
    def above(self) -> Mask:
        """(rows, columns) watched blocks above their threshold, suddenly or not."""
        return (self.rise > self.scene.threshold) & self.scene.watched

    @cached_property
    def above_blocks(self) -> int:
        """Number of `above` blocks."""
        return int(np.count_nonzero(self.above))

    def suddenness(self, before: "FrameChange | None") -> float:
        """Return the share 0..1 of sudden blocks among those that newly exceeded their threshold with this frame.

        Args:
            before: the change of the previous frame, or None. Blocks that were above their threshold there, by clouds
                or exposure, do not count.
        """
        come = self.above if before is None else self.above & (self.sudden | ~before.above)
        count = int(np.count_nonzero(come))
        return np.count_nonzero(self.sudden & come) / count if count else 0.0

    @cached_property
    def positivity(self) -> float:
        """Share of rises in all noticeable changes, 0..1.

        Falls beside the light always count, whatever the scene does elsewhere: the light may have moved.
        """
        near = cv2.dilate(self.sudden.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        beside = float(np.maximum(-self._noticeable(self.scene.noise)[near], 0).sum())
        far = ChangeBalance(self.balance.gained, max(0.0, self.balance.lost - beside))
        excused = far.lost - far.beyond(self.clutter).lost
        return ChangeBalance(self.balance.gained, self.balance.lost - excused).positivity()

    @cached_property
    def balance(self) -> ChangeBalance:
        """The noticeable changes since `earlier`, without falls from noise alone."""
        return self.balance_beyond(self.scene.noise)

    def balance_beyond(self, noise: Grid) -> ChangeBalance:
        """Return `balance` for another `noise` than that known before the frame."""
        changes = self._noticeable(noise)
        # Falls that noise makes beyond three deviations (0.0044 deviations per block, if it is normal) are not
        # motion.
        by_noise = 0.0044 * 2**0.5 * float(noise[self.scene.watched].sum())
        gained = float(np.maximum(changes, 0).sum())
        return ChangeBalance(gained, max(0.0, gained - float(changes.sum()) - by_noise))

    def _noticeable(self, noise: Grid) -> Grid:
        # Nor less than three standard deviations of the difference of two frames, or noise would hide light.
        least = np.maximum(np.float32(NOTICEABLE_SHARE) * self.scene.threshold, np.float32(3 * 2**0.5) * noise)
        changes: Grid = np.where(self.scene.watched & (np.abs(self.step) > least), self.step, np.float32(0))
        return changes
