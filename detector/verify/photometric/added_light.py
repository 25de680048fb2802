"""Light added to a scene, pixel by pixel, where an image shows its colour."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Levels: from here on a pixel may be brighter, or of another colour, than the image shows.
SATURATED = 245.0
# Fewer pixels of a small image show noise rather than a colour.
MIN_PIXELS = 20
# Levels: a smaller rise is mostly noise of the camera and of coding.
_LIT_LEVELS = 8.0
# Levels: a darker pixel shows no colour of its own.
DARK = 8.0

Colours = NDArray[np.float32]
"""(..., 3) red, green and blue: levels 0..255, or light, 1 = white."""


@dataclass(frozen=True, slots=True)
class AddedLight:
    """Light added to the pixels that lit up and are not saturated.

    Attributes:
        before: (pixels, 3) light of the scene.
        light: (pixels, 3) light added.
        total: (pixels,) sum of `light` over the channels.
        scene_green: greenness of the whole scene, 0 where it is dark.
        white_share: share of the lit pixels left out because they are saturated, 0..1.
    """

    before: Colours
    light: Colours
    total: NDArray[np.float32]
    scene_green: float
    white_share: float

    @property
    def green(self) -> NDArray[np.float32]:
        """(pixels,) greenness of the added light: green minus the mean of red and blue, over the sum of all three.

        It is reduced by the greenness of the pixel before, since leaves are green in any light, and limited to that of
        the pixel now: a pixel that turns white was violet before, or has lost its violet to overexposure.
        """
        green: NDArray[np.float32] = np.minimum(_green(self.light), _green(self.before + self.light))
        return green - np.maximum(_green(self.before), 0)


def added_light(before: Colours, now: Colours) -> AddedLight | None:
    """Return the light that `now` adds to `before`; None if too few pixels show its colour.

    Args:
        before: (rows, columns, 3) levels.
        now: (rows, columns, 3) levels.
    """
    lit = (now - before).mean(axis=2) > _LIT_LEVELS
    coloured = lit & (now.max(axis=2) < SATURATED)
    count = np.count_nonzero(coloured)
    if count < MIN_PIXELS:
        return None
    scene_light = linear(before[coloured])
    light = np.maximum(linear(now[coloured]) - scene_light, 0)
    total = np.maximum(light.sum(axis=1), np.float32(1e-4))
    scene = linear(before[before.max(axis=2) > DARK]).sum(axis=0)
    return AddedLight(scene_light, light, total, float(_green(scene)), 1.0 - count / np.count_nonzero(lit))


def linear(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return light, 1 = white, from levels 0..255 by the usual power law of displays."""
    shown = np.maximum(levels, 0).astype(np.float32)
    light: NDArray[np.float32] = (shown / np.float32(255)) ** np.float32(2.2)
    return light


def _green(light: Colours) -> NDArray[np.float32]:
    total = light.sum(axis=-1)
    green: NDArray[np.float32] = (1.5 * light[..., 1] - 0.5 * total) / np.maximum(total, np.float32(1e-4))
    return green
