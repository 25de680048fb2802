"""The running background of one camera and its noise."""

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detector.prefilter.blocks import Grid
from detector.prefilter.change_balance import NO_CHANGE, ChangeBalance
from stream import load_opencv

cv2 = load_opencv()

# However long the pause between two pictures, they are only one look at what a scene does: it counts for this long.
LONGEST_LOOK_SECONDS = 0.5

# Mean of |a - b| over the standard deviation of one of them, for two independent normal values: sqrt(2) * sqrt(2 / pi).
_MEAN_DIFFERENCE = 1.128
# Odd, so that a median is a picture's own value, and few, so that it is cheap.
_BACKGROUND_SAMPLES = 9


@dataclass(frozen=True, eq=False)
class MedianBackground:
    """What each block looked like in some pictures, made when first asked for."""

    pictures: tuple[Grid, ...]

    @cached_property
    def level(self) -> Grid:
        """(rows, columns) median of the pictures."""
        return _median(self.pictures)


@dataclass(frozen=True, eq=False)
class BackgroundEstimate:
    """The background as it is before one picture.

    recent: (rows, columns) the picture of `step_seconds` ago (at low rates: the one before).
    older: that of three times as long ago, or the oldest that is remembered.
    noise, swing: as those of Background; None while only one picture is known.
    """

    usual: MedianBackground
    recent: Grid
    older: Grid
    noise: Grid | None
    swing: Grid | None

    @cached_property
    def ground(self) -> Grid:
        """(rows, columns) what a block would look like now without a flash.

        The middle one of the long median and the two pictures: where clouds or exposure drift, the median of a second
        lags behind; where the last picture was partly lit already (a rolling shutter's band), the other two outvote it.
        """
        return _middle(self.usual.level, self.recent, self.older)


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
        self._usual: MedianBackground | None = None
        self.noise: Grid | None = None
        self.swing: Grid | None = None
        self.restless_blocks = 0.0
        self.stir = NO_CHANGE

    @property
    def level(self) -> Grid | None:
        """(rows, columns) levels; None right after a restart."""
        return None if self._usual is None else self._usual.level

    @property
    def age_seconds(self) -> float:
        """How much quiet video the noise was learnt from."""
        return self._learnt_seconds

    def restart(self, *, forget_noise: bool) -> None:
        """Pictures before and after now must not be compared."""
        self._recent.clear()
        self._samples.clear()
        self._usual = None
        if forget_noise:
            self.noise = self.swing = None
            self._learnt_seconds = self.restless_blocks = 0.0
            self.stir = NO_CHANGE

    def resume(self, seconds: float, level: Grid) -> None:
        """Start again from a `level` known from before."""
        self._samples.append((seconds, level))
        self._recent.append((seconds, level))
        self._usual = MedianBackground((level,))

    @property
    def latest(self) -> Grid | None:
        """The newest picture, or None right after a restart."""
        return self._recent[-1][1] if self._recent else None

    def known(self, seconds: float) -> BackgroundEstimate | None:
        """What a picture of now is compared with, or None right after a restart."""
        if not self._recent or self._usual is None:
            return None
        recent = older = self._recent[0][1]
        for when, grid in self._recent:
            if when > seconds - self._step_seconds + 1e-6:
                break
            recent = grid
            if when <= seconds - 3 * self._step_seconds + 1e-6:
                older = grid
        return BackgroundEstimate(self._usual, recent, older, self.noise, self.swing)

    @property
    def remembered(self) -> int:
        """How many of the last pictures can be compared with the next one: few right after a restart."""
        return len(self._recent)

    def remember(self, seconds: float, grid: Grid) -> None:
        """Keep `grid` for the steps of the next frames."""
        self._recent.append((seconds, grid))
        while len(self._recent) > 3 and self._recent[1][0] <= seconds - 3 * self._step_seconds + 1e-6:
            self._recent.popleft()

    def learn(self, seconds: float, grid: Grid, earlier: Grid | None, elapsed: float, *, settled: bool = True) -> None:
        """Take a quiet picture into the background, and its change since `earlier`, a moment ago, into the noise.

        settled: False while the camera recovers from a flash; what its exposure does then is no habit of the scene.
        """
        if earlier is not None and elapsed > 0:
            self._learn_noise(cv2.absdiff(grid, earlier), min(elapsed, LONGEST_LOOK_SECONDS), settled=settled)
        if not self._samples or seconds - self._samples[-1][0] >= self._span_seconds / _BACKGROUND_SAMPLES - 1e-3:
            self._samples.append((seconds, grid))
            while seconds - self._samples[0][0] > 2 * self._span_seconds:
                self._samples.popleft()
            self._usual = MedianBackground(tuple(sample for _, sample in self._samples))

    def learn_restlessness(self, sudden_blocks: int, stir: ChangeBalance, elapsed: float) -> None:
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
        share = elapsed / min(self._learnt_seconds, self._memory_seconds)
        # One large change is no noise: it counts for no more than a very noisy picture would give (6 deviations), and
        # one level, by which a codec changes a block of a picture without noise.
        usual = np.minimum(cv2.addWeighted(self.noise, 6, self.noise, 0, 1), change)
        # Grids of their own: what was known before a picture stays as it was.
        self.noise = cv2.addWeighted(self.noise, 1 - share, usual, share / _MEAN_DIFFERENCE, 0)
        if settled:
            self.swing = np.maximum(self.swing * math.exp(-elapsed / self._memory_seconds), change)


def _median(grids: tuple[Grid, ...]) -> Grid:
    if len(grids) == _BACKGROUND_SAMPLES:
        return _median_of_nine(grids)
    middle = len(grids) // 2
    level: Grid = np.partition(np.stack(grids), middle, axis=0)[middle]
    return level


def _median_of_nine(grids: tuple[Grid, ...]) -> Grid:
    """The same in a fifth of the time: laid out so that each block's nine values are the neighbours of one pixel."""
    laid_out = np.stack([cv2.merge(grids[first : first + 3]).ravel() for first in (0, 3, 6)])
    median: Grid = cv2.medianBlur(laid_out, 3)[1, 1::3].reshape(grids[0].shape)
    return median


def _middle(one: Grid, two: Grid, three: Grid) -> Grid:
    middle: Grid = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    return middle
