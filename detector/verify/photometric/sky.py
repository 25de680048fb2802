"""Find the sky in a scene, and how much of a light it shows."""

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import Grid
from detector.prefilter.quantile import quantile
from detector.verify.photometric.added_light import DARK, linear
from stream import load_opencv

cv2 = load_opencv()

# Sky and cloud change by less from block to block, roofs, trees and ridges by more: ratio of levels above black.
_STEP, _ABOVE_BLACK = 0.07, 20.0
# Share of the frame: less may be an eave or a porch's ceiling, which a lamp lights, or a caption.
_MIN_SHARE = 1 / 3
# Levels: a fainter light may have lit the sky by less than coding keeps.
_MIN_RISE = 15.0
# Levels: rise from coding and noise alone.
_NO_LIGHT = 1.0


def sky_of(scene: Grid) -> NDArray[np.bool_]:
    """Return which blocks are sky: connected to the upper edge without a step, minus a border of one block.

    All are False if the region is black, or darker than the part below: a ceiling or an eave, not a sky.

    Args:
        scene: (rows, columns) levels.
    """
    rows, columns = scene.shape
    steps = np.log(np.maximum(scene, 0) + np.float32(_ABOVE_BLACK))
    filled = np.zeros((rows + 2, columns + 2), np.uint8)
    for column in range(columns):
        if not filled[1, column + 1]:
            cv2.floodFill(steps, filled, (column, 0), 0, _STEP, _STEP, 4 | cv2.FLOODFILL_MASK_ONLY)
    joined = filled[1:-1, 1:-1]
    inner: NDArray[np.bool_] = cv2.erode(joined, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
    rest = joined == 0
    if np.mean(inner) < _MIN_SHARE or quantile(scene[inner]) <= DARK:
        return np.zeros_like(inner)
    if rest.any() and quantile(scene[inner]) < quantile(scene[rest]):
        return np.zeros_like(inner)
    return inner


def share_in_sky(scene: Grid, peak: Grid) -> float | None:
    """Return the light added to the sky's brightest part over that of the brightest place of all, 0..1.

    None if the sky is not found or became darker meanwhile, as after an earlier pulse, or if the light is faint.

    Args:
        scene: (rows, columns) levels without the light.
        peak: (rows, columns) levels with it.
    """
    rise, sky = peak - scene, sky_of(scene)
    if not sky.any() or float(rise.max()) < _MIN_RISE or quantile(rise[sky]) < -_NO_LIGHT:
        return None
    if quantile(rise[sky], 0.97) < _NO_LIGHT:
        return 0.0
    light = linear(peak) - linear(scene)
    return max(0.0, quantile(light[sky], 0.97) / max(quantile(light, 0.995), 1e-9))
