"""Luma of one frame as a grid of block means; the running background and its noise."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.positivity import STILL, Stir
from stream import Frame, load_opencv

cv2 = load_opencv()

# A hundredth of the picture, the smallest light sought, is some twenty such blocks, whose means hold little noise.
LONG_SIDE_BLOCKS = 64
SHORT_SIDE_BLOCKS = 36
# Five rows of each block: what they leave of the noise of its mean is far below what codecs leave.
ROWS_READ = 180
Grid = NDArray[np.float32]

# However long the pause between two pictures, they are only one look at what a scene does: it counts for this long.
LONGEST_LOOK_SECONDS = 0.5

# Mean of |a - b| over the standard deviation of one of them, for two independent normal values: sqrt(2) * sqrt(2 / pi).
_MEAN_DIFFERENCE = 1.128
# Odd, so that a median is a picture's own value, and few, so that it is cheap.
_BACKGROUND_SAMPLES = 9


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
    return np.ascontiguousarray(np.rot90(frame.levels(means), frame.rotation // 90))


def _block_means(luma: NDArray[Any], rows: int, columns: int) -> Grid:
    high = -(-luma.shape[0] // rows)
    wide = -(-luma.shape[1] // columns)
    rows, columns = luma.shape[0] // high, luma.shape[1] // wide
    # In single precision, which keeps sums of a few rows exact.
    total = np.zeros((rows, columns * wide), np.float32)
    for row in range(high):
        cv2.accumulate(luma[row : rows * high : high, : columns * wide], total)
    means: Grid = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_AREA) / np.float32(high)
    return means


class Background:
    """What each block looked like lately and how much it changes by itself.

    `level`: (rows, columns) median of up to nine pictures of the last second: a flash of a few frames does not move a
    median, and dusk, cloud and exposure drift are followed within half a second.
    `noise`: standard deviation of one block mean, levels, from the changes over `step_seconds`.
    `swing`: the largest change over `step_seconds` seen lately, fading: what rain, traffic, water or a flickering lamp
    do all the time is known to the blocks where they do it.
    `restless_blocks`, `stir`: how many blocks rise suddenly in a picture without an onset, and what changes in it, on
    average.
    """

    def __init__(self, *, step_seconds: float, memory_seconds: float) -> None:
        self._step_seconds = step_seconds
        self._memory_seconds = memory_seconds
        self._span_seconds = 0.9  # half of it is longer than a stroke with its glow: no flash moves the median
        self._recent: deque[tuple[float, Grid]] = deque()
        self._samples: deque[tuple[float, Grid]] = deque(maxlen=_BACKGROUND_SAMPLES)
        self._learnt_seconds = 0.0
        self.level: Grid | None = None
        self.noise: Grid | None = None
        self.swing: Grid | None = None
        self.restless_blocks = 0.0
        self.stir = STILL

    @property
    def age_seconds(self) -> float:
        """How much quiet video the noise was learnt from."""
        return self._learnt_seconds

    def restart(self, *, forget_noise: bool) -> None:
        """Pictures before and after now must not be compared."""
        self._recent.clear()
        self._samples.clear()
        self.level = None
        if forget_noise:
            self.noise = self.swing = None
            self._learnt_seconds = self.restless_blocks = 0.0
            self.stir = STILL

    def resume(self, seconds: float, level: Grid) -> None:
        """Start again from a `level` known from before."""
        self._samples.append((seconds, level))
        self._recent.append((seconds, level))
        self.level = level

    @property
    def latest(self) -> Grid | None:
        """The newest picture, or None right after a restart."""
        return self._recent[-1][1] if self._recent else None

    def reference(self, seconds: float) -> Grid | None:
        """The picture of `step_seconds` ago (at low rates: the one before), or None right after a restart."""
        return self._picture_before(seconds - self._step_seconds)

    def ground(self, seconds: float) -> Grid | None:
        """What a block would look like now without a flash, or None right after a restart.

        The middle one of the long median, the picture of `step_seconds` ago and one of three times that: where clouds
        or exposure drift, the median of a second lags behind; where the last picture was partly lit already (a rolling
        shutter's band), the other two outvote it.
        """
        recent = self.reference(seconds)
        if recent is None or self.level is None:
            return None
        older = self._picture_before(seconds - 3 * self._step_seconds)
        if older is None:
            return self.level
        low, high = np.minimum(self.level, recent), np.maximum(self.level, recent)
        ground: Grid = np.maximum(low, np.minimum(high, older))
        return ground

    @property
    def remembered(self) -> int:
        """How many of the last pictures can be compared with the next one: few right after a restart."""
        return len(self._recent)

    def _picture_before(self, seconds: float) -> Grid | None:
        found = self._recent[0][1] if self._recent else None
        for when, grid in self._recent:
            if when > seconds + 1e-6:
                break
            found = grid
        return found

    def remember(self, seconds: float, grid: Grid) -> None:
        """Keep `grid` for the steps of the next frames."""
        self._recent.append((seconds, grid))
        while len(self._recent) > 3 and self._recent[1][0] <= seconds - 3 * self._step_seconds + 1e-6:
            self._recent.popleft()

    def learn(self, seconds: float, grid: Grid, step: Grid | None, elapsed: float, *, settled: bool = True) -> None:
        """Take a quiet picture into the background, and its change since `step_seconds` ago into the noise.

        settled: False while the camera recovers from a flash; what its exposure does then is no habit of the scene.
        """
        if step is not None and elapsed > 0:
            self._learn_noise(np.abs(step), min(elapsed, LONGEST_LOOK_SECONDS), settled=settled)
        if not self._samples or seconds - self._samples[-1][0] >= self._span_seconds / _BACKGROUND_SAMPLES - 1e-3:
            self._samples.append((seconds, grid))
            while seconds - self._samples[0][0] > 2 * self._span_seconds:
                self._samples.popleft()
            self.level = _median([sample for _, sample in self._samples])

    def learn_restlessness(self, sudden_blocks: int, stir: Stir, elapsed: float) -> None:
        """Take what a picture without an onset did by itself into the averages."""
        share = min(1.0, elapsed / self._memory_seconds)
        self.restless_blocks += share * (sudden_blocks - self.restless_blocks)
        self.stir += (stir - self.stir) * share

    def _learn_noise(self, change: Grid, elapsed: float, *, settled: bool) -> None:
        if self.noise is None or self.swing is None:
            self.noise = change / np.float32(_MEAN_DIFFERENCE)
            self.swing = change.copy()
            self._learnt_seconds = elapsed
            return
        self._learnt_seconds += elapsed
        share = np.float32(elapsed / min(self._learnt_seconds, self._memory_seconds))
        # One large change is no noise: it counts for no more than a very noisy picture would give (6 deviations), and
        # one level, by which a codec changes a block of a picture without noise.
        usual = np.float32(6) * self.noise
        usual += np.float32(1)
        np.minimum(usual, change, out=usual)
        usual *= share / np.float32(_MEAN_DIFFERENCE)
        self.noise *= np.float32(1) - share
        self.noise += usual
        if not settled:
            return
        self.swing *= np.float32(np.exp(-elapsed / self._memory_seconds))
        np.maximum(self.swing, change, out=self.swing)


def _median(grids: list[Grid]) -> Grid:
    if len(grids) == _BACKGROUND_SAMPLES:
        return _median_of_nine(grids)
    middle = len(grids) // 2
    level: Grid = np.partition(np.stack(grids), middle, axis=0)[middle]
    return level


def _median_of_nine(grids: list[Grid]) -> Grid:
    """The same in a third of the time: of three threes, the middle of highest low, middle middle and lowest high."""
    first, second, third = np.stack(grids).reshape(3, 3, *grids[0].shape)
    low, high = np.minimum(first, second), np.maximum(first, second)
    lows, highs = np.minimum(low, third), np.maximum(high, third)
    middles = np.maximum(low, np.minimum(high, third))
    return _middle(lows.max(axis=0), _middle(*middles), highs.min(axis=0))


def _middle(one: Grid, two: Grid, three: Grid) -> Grid:
    middle: Grid = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    return middle
