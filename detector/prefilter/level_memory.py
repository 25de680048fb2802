"""Memory of the recent levels of each block: a level that returns is not light."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import Grid, Mask

# Birds perch, cars wait and a camera's exposure varies for less than half a minute; four samples a second miss few
# pauses. Only quiet time counts: with much activity the memory reaches further back.
SAMPLE_SECONDS = 0.25
SAMPLES = 120
# What was there stayed for a second; a flash that was not found, in damaged frames say, hardly lasts as long.
SAMPLES_SHOWN = 4
# What covers a place (a bird, a wiper, a darker exposure) comes within some two seconds; clouds drift away from a
# level more slowly, and then it tells nothing.
SAMPLES_OF_FALL = 8
# So much of it has to be gone by then: the scene may not be quite as it was.
FALLEN_SHARE = 0.6
# After less time everything would be new.
LEAST_SECONDS = 3.0
# A level in bytes of video: 16 is black, but some cameras are below.
_LUMA_PER_LEVEL, _BLACK_LUMA = 219 / 255, 16


class LevelMemory:
    """Samples of the block luma of frames without light, a byte for each block: 280 KB for half a minute.

    A place that an object leaves (a bird, a wiper, a blank frame), and a scene whose exposure recovers, return to an
    earlier level. Light gives a new level.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, NDArray[np.uint8]]] = deque(maxlen=SAMPLES)

    def forget(self) -> None:
        """Forget all, because the camera may have moved."""
        self._samples.clear()

    def remember(self, seconds: float, grid: Grid) -> None:
        """Keep a frame without light, if one is due."""
        if self._samples and seconds - self._samples[-1][0] < SAMPLE_SECONDS - 1e-6:
            return
        self._samples.append((seconds, np.rint(grid * _LUMA_PER_LEVEL + _BLACK_LUMA).astype(np.uint8)))

    def share_seen(self, seconds: float, before: Grid, rise: Grid, where: Mask) -> float | None:
        """Return the share 0..1 of a rise that several earlier frames had already; None if the memory is too short.

        Args:
            seconds: time of the frame `before`.
            before: (rows, columns) block luma of the last frame before the rise.
            rise: (rows, columns) levels gained from it to the one frame with the most light.
            where: (rows, columns) blocks that rose.
        """
        if not self._samples or seconds - self._samples[0][0] < LEAST_SECONDS - 1e-6:
            return None
        start, rise = before[where], rise[where]
        total = float(rise.sum())
        if total <= 0:
            return None
        # Each sample is compared as a whole: over many samples, every level occurs somewhere by chance.
        luma = np.stack([sample[where] for _, sample in self._samples])
        earlier = (luma - np.float32(_BLACK_LUMA)) / np.float32(_LUMA_PER_LEVEL)
        shown = np.minimum(np.maximum(earlier - start, 0), rise).sum(axis=1)
        kept = _least_soon(np.append(shown, np.float32(0)), len(shown)) / np.maximum(shown, np.float32(1e-6))
        sudden = np.minimum((1 - np.maximum(kept, 0)) / FALLEN_SHARE, 1)
        return float(np.sort(shown * sudden)[-SAMPLES_SHOWN:][0]) / total


def _least_soon(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the least of the `SAMPLES_OF_FALL` values after each of the first `count` ones."""
    padded = np.concatenate([values[1:], np.full(SAMPLES_OF_FALL, np.inf, values.dtype)])
    least: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(padded, SAMPLES_OF_FALL)[:count].min(axis=1)
    return least
