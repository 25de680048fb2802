"""The running background of one camera: level, noise and clutter of each block, and thresholds derived from them."""

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detector.prefilter.blocks import Grid, Mask
from detector.prefilter.change_balance import NO_CHANGE, ChangeBalance
from stream import load_opencv

cv2 = load_opencv()

# Longest time that one observation counts for, however long the pause between two frames.
MAX_ELAPSED_SECONDS = 0.5
# Clutter is measured this often: enough for an average over seconds, and one measurement costs as much as three frames.
CLUTTER_SECONDS = 0.2
# Cameras take this long to restore the exposure that a bright flash lowered.
RECOVERY_SECONDS = 2.5
# Where drift ends, blocks fall as often as they rise, or more often, and 99 % by less than this, also at 0.3 Mbit/s.
MOST_DRIFT_RISES, MOST_DRIFT_LEVELS = 0.8, 6.0
# Exposure darkens every block that is not black; a lamp that goes out, or motion, darkens fewer.
DIPPED_SHARE = 0.2

# Mean of |a - b| over the standard deviation of one of them, for two independent normal values: sqrt(2) * sqrt(2 / pi).
_MEAN_DIFFERENCE = 1.128
# Odd, so that the median is the value of one frame; few, so that it is cheap.
BACKGROUND_SAMPLES = 9
# Half of the time that they cover is longer than a pulse with its glow: no flash moves the median.
SPAN_SECONDS = 0.9


@dataclass(frozen=True, eq=False)
class MedianBackground:
    """The median of some frames, computed on first use.

    Attributes:
        frames: block luma of each frame, (rows, columns) levels.
    """

    frames: tuple[Grid, ...]

    @cached_property
    def level(self) -> Grid:
        """(rows, columns) median of the frames."""
        return _median(self.frames)


@dataclass(frozen=True, eq=False)
class BackgroundEstimate:
    """The background as known before one frame.

    Attributes:
        median: the median of about the last second.
        recent: (rows, columns) block luma of `step_seconds` ago (at low rates: of the previous frame).
        older: (rows, columns) block luma of three times as long ago, or the oldest that is kept.
        noise: as `Background.noise`; None while only one frame is known.
        peak_change: as `Background.peak_change`; None while only one frame is known.
    """

    median: MedianBackground
    recent: Grid
    older: Grid
    noise: Grid | None
    peak_change: Grid | None

    @cached_property
    def ground(self) -> Grid:
        """(rows, columns) expected level of each block without a flash.

        The median of three: the median of a second, and the two frames. If clouds or exposure drift, the median of a
        second lags behind; if the last frame was partly lit (a band of a rolling shutter), the other two outvote it.
        """
        return _middle(self.median.level, self.recent, self.older)


class ExposureRecovery:
    """The return of an exposure that a flash lowered.

    A rise to the levels from before the flash is recovery, not light.
    """

    def __init__(self) -> None:
        self._level: Grid | None = None
        self._until = 0.0

    @property
    def active(self) -> bool:
        """Whether a recovery is in progress, as of the last call of `level`."""
        return self._level is not None

    def level(self, seconds: float) -> Grid | None:
        """Return the (rows, columns) levels to which the exposure returns, or None.

        The first frame at or after the end of the recovery still gets them.
        """
        level = self._level
        if seconds >= self._until:
            self._level = None
        return level

    def begin(self, level: Grid, seconds: float) -> None:
        """Expect a return to `level`, the levels before the flash that was last seen at `seconds`."""
        self._level, self._until = level, seconds + RECOVERY_SECONDS

    def begin_if_darker(self, latest: Grid, level: Grid, threshold: Grid, watched: Mask, seconds: float) -> None:
        """Expect a return to `level` if much of the `latest` frame is darker.

        Args:
            latest: (rows, columns) block luma after the flash.
            level: (rows, columns) block luma before it.
            threshold: (rows, columns) levels of rise that count as lit.
            watched: (rows, columns) blocks that count.
            seconds: when the flash was last seen.
        """
        # Half the threshold is beyond noise in so many blocks, and its return may look like light.
        darker = latest < level - np.float32(0.5) * threshold
        if np.count_nonzero(darker & watched) >= DIPPED_SHARE * np.count_nonzero(watched):
            self.begin(level, seconds)

    def stop(self) -> None:
        """End the recovery."""
        self._level = None


class Background:
    """The recent level of each block, and how much it changes without a flash.

    Attributes:
        noise: (rows, columns) standard deviation of one block mean, levels, from the changes over `step_seconds`.
        peak_change: (rows, columns) largest recent change over `step_seconds`, decaying: the usual changes by rain,
            traffic, water or a flickering lamp in each block.
        clutter_blocks: average number of blocks that rise suddenly in a frame without an onset.
        clutter: average change in a frame without an onset.
        recovery: the return of an exposure that a flash lowered.
    """

    def __init__(self, *, step_seconds: float, memory_seconds: float) -> None:
        self._step_seconds = step_seconds
        self._memory_seconds = memory_seconds
        self._recent: deque[tuple[float, Grid]] = deque()
        self._samples: deque[tuple[float, Grid]] = deque(maxlen=BACKGROUND_SAMPLES)
        self._learnt_seconds = 0.0
        self._clutter_seconds = -MAX_ELAPSED_SECONDS
        self._median: MedianBackground | None = None
        self.noise: Grid | None = None
        self.peak_change: Grid | None = None
        self.clutter_blocks = 0.0
        self.clutter = NO_CHANGE
        self.recovery = ExposureRecovery()

    @property
    def level(self) -> Grid | None:
        """(rows, columns) median of up to nine frames of the last second; None right after a restart.

        A flash of a few frames does not move it; it follows dusk, clouds and exposure within half a second.
        """
        return None if self._median is None else self._median.level

    @property
    def age_seconds(self) -> float:
        """Seconds of quiet video from which the noise was learned."""
        return self._learnt_seconds

    @property
    def latest(self) -> Grid | None:
        """The newest block luma, or None right after a restart."""
        return self._recent[-1][1] if self._recent else None

    @property
    def remembered(self) -> int:
        """Number of last frames that can be compared with the next one: few right after a restart."""
        return len(self._recent)

    def restart(self, *, forget_noise: bool) -> None:
        """Forget the frames, which must not be compared with later ones; with `forget_noise`, also the noise."""
        self._recent.clear()
        self._samples.clear()
        self._median = None
        if forget_noise:
            self.noise = self.peak_change = None
            self._learnt_seconds = self.clutter_blocks = 0.0
            self.clutter = NO_CHANGE

    def resume(self, seconds: float, level: Grid) -> None:
        """Start again from a `level` known from before."""
        self._samples.append((seconds, level))
        self._recent.append((seconds, level))
        self._median = MedianBackground((level,))

    def known(self, seconds: float) -> BackgroundEstimate | None:
        """Return the background for a frame at `seconds`, or None right after a restart."""
        if not self._recent or self._median is None:
            return None
        recent = older = self._recent[0][1]
        for when, grid in self._recent:
            if when > seconds - self._step_seconds + 1e-6:
                break
            recent = grid
            if when <= seconds - 3 * self._step_seconds + 1e-6:
                older = grid
        return BackgroundEstimate(self._median, recent, older, self.noise, self.peak_change)

    def remember(self, seconds: float, grid: Grid) -> None:
        """Keep `grid`, with which the next frames are compared."""
        self._recent.append((seconds, grid))
        while len(self._recent) > 3 and self._recent[1][0] <= seconds - 3 * self._step_seconds + 1e-6:
            self._recent.popleft()

    def rebase(self, grid: Grid) -> bool:
        """Take the step to `grid`, a key frame at which the drift of a decoder ends, for no change of the scene.

        Returns:
            False if mostly blocks rose: that is light, or motion, and to be handled as in any other frame.
        """
        if self.latest is None:
            return False
        step = grid - self.latest
        if float(np.maximum(step, 0).sum()) > MOST_DRIFT_RISES * float(np.abs(step).sum()):
            return False
        step[np.abs(step) > MOST_DRIFT_LEVELS] = 0
        self._recent = deque((when, grid + step) for when, grid in self._recent)
        self._samples = deque(((when, grid + step) for when, grid in self._samples), self._samples.maxlen)
        self._median = MedianBackground(tuple(sample for _, sample in self._samples))
        return True

    def learn(self, seconds: float, grid: Grid, earlier: Grid | None, elapsed: float, *, settled: bool = True) -> None:
        """Add a quiet frame to the median, and its change since `earlier` to the noise.

        Args:
            seconds: time of the frame.
            grid: (rows, columns) block luma of the frame.
            earlier: (rows, columns) block luma of `step_seconds` before; None if unknown.
            elapsed: seconds since the previous frame.
            settled: False while a flash is open, when changes of exposure are not typical of the scene.
        """
        if earlier is not None and elapsed > 0:
            settled = settled and not self.recovery.active
            self._learn_noise(cv2.absdiff(grid, earlier), min(elapsed, MAX_ELAPSED_SECONDS), settled=settled)
        if not self._samples or seconds - self._samples[-1][0] >= SPAN_SECONDS / BACKGROUND_SAMPLES - 1e-3:
            self._samples.append((seconds, grid))
            while seconds - self._samples[0][0] > 2 * SPAN_SECONDS:
                self._samples.popleft()
            self._median = MedianBackground(tuple(sample for _, sample in self._samples))

    def clutter_due(self, seconds: float) -> bool:
        """Return whether a frame at `seconds` should be passed to `learn_clutter`."""
        return seconds - self._clutter_seconds >= CLUTTER_SECONDS - 1e-6

    def learn_clutter(self, seconds: float, sudden_blocks: int, change: ChangeBalance) -> None:
        """Add the changes of a frame without an onset to the averages."""
        elapsed = min(seconds - self._clutter_seconds, MAX_ELAPSED_SECONDS)
        self._clutter_seconds = seconds
        share = min(1.0, elapsed / self._memory_seconds)
        self.clutter_blocks += share * (sudden_blocks - self.clutter_blocks)
        self.clutter += (change - self.clutter) * share

    def _learn_noise(self, change: Grid, elapsed: float, *, settled: bool) -> None:
        if self.noise is None or self.peak_change is None:
            self.noise = change / np.float32(_MEAN_DIFFERENCE)
            self.peak_change = change.copy()
            self._learnt_seconds = elapsed
            return
        self._learnt_seconds += elapsed
        share = elapsed / min(self._learnt_seconds, self._memory_seconds)
        # One large change is not noise: it counts as at most 6 deviations and one level, a codec's step in a block
        # without noise.
        limited = np.minimum(cv2.addWeighted(self.noise, 6, self.noise, 0, 1), change)
        # New arrays: an estimate returned before must not change.
        self.noise = cv2.addWeighted(self.noise, 1 - share, limited, share / _MEAN_DIFFERENCE, 0)
        if settled:
            self.peak_change = np.maximum(self.peak_change * math.exp(-elapsed / self._memory_seconds), change)


@dataclass(frozen=True)
class Thresholds:
    """The thresholds for one frame; grids are computed on first use, which most quiet frames do not need.

    Attributes:
        known: the background and its noise before the frame.
        recovery_level: (rows, columns) levels to which an exposure that a flash lowered returns, or None.
        periodic_level: (rows, columns) levels by which periodic lamps rise, or None.
        watched: (rows, columns) blocks that count.
        least_rise: least threshold of a block, levels.
        noise_factor: the threshold in multiples of the noise.
        swing_factor: the threshold in multiples of the largest recent change.
    """

    known: BackgroundEstimate
    recovery_level: Grid | None
    periodic_level: Grid | None
    watched: Mask
    least_rise: float
    noise_factor: float
    swing_factor: float

    @cached_property
    def level(self) -> Grid:
        """(rows, columns) level of each block without a flash, including the recovery of the exposure."""
        ground = self.known.ground
        return ground if self.recovery_level is None else np.maximum(ground, self.recovery_level)

    @property
    def lowest(self) -> Grid:
        """(rows, columns) lower bound of `level`: the median of three lies between any two of them."""
        return np.minimum(self.known.recent, self.known.older)

    @cached_property
    def threshold(self) -> Grid:
        """(rows, columns) levels of rise that count as lit."""
        noise, peak_change = self.known.noise, self.known.peak_change
        if noise is None or peak_change is None:
            # Only one frame is known, and a new exposure settles by several levels per frame.
            return np.full(self.watched.shape, 2 * self.least_rise, np.float32)
        threshold = noise * np.float32(self.noise_factor)
        np.maximum(threshold, np.float32(self.least_rise), out=threshold)
        np.maximum(threshold, peak_change * np.float32(self.swing_factor), out=threshold)
        return threshold if self.periodic_level is None else np.maximum(threshold, self.periodic_level)

    @cached_property
    def noise(self) -> Grid:
        """(rows, columns) standard deviation of one block, levels; 0 while unknown."""
        return np.zeros(self.watched.shape, np.float32) if self.known.noise is None else self.known.noise


def _median(grids: tuple[Grid, ...]) -> Grid:
    if len(grids) == BACKGROUND_SAMPLES:
        return _median_of_nine(grids)
    middle = len(grids) // 2
    level: Grid = np.partition(np.stack(grids), middle, axis=0)[middle]
    return level


def _median_of_nine(grids: tuple[Grid, ...]) -> Grid:
    """Return the median, five times faster by OpenCV: a block's nine values are arranged as one pixel's neighbours."""
    laid_out = np.stack([cv2.merge(grids[first : first + 3]).ravel() for first in (0, 3, 6)])
    median: Grid = cv2.medianBlur(laid_out, 3)[1, 1::3].reshape(grids[0].shape)
    return median


def _middle(one: Grid, two: Grid, three: Grid) -> Grid:
    middle: Grid = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    return middle
