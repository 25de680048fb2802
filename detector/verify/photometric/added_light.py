"""The light that was added to a scene, place by place, where a picture shows its colour."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Levels from which on a place may be brighter, or of another colour, than it shows.
SATURATED = 245.0
# Fewer pixels of a small picture show noise rather than a colour.
FEWEST_PIXELS = 20
# Levels: what rises by less is mostly noise of the camera and of coding.
_LIT_LEVELS = 8.0
# Levels: what is darker shows no colour of its own.
DARK = 8.0

Colours = NDArray[np.float32]
"""(..., 3) red, green and blue: levels 0..255, or light, 1 = white."""


@dataclass(frozen=True, slots=True)
class AddedLight:
    """What the places show that lit up and are not white.

    before: (places, 3) light of the scene. light: (places, 3) what was added. total: (places,) its sum.
    scene_green: how green the whole scene is, 0 where it is dark. white_share: how many of the lit places are left out
    for being white, 0..1.
    """

    before: Colours
    light: Colours
    total: NDArray[np.float32]
    scene_green: float
    white_share: float

    @property
    def green(self) -> NDArray[np.float32]:
        """(places,) green less the mean of red and blue, over the sum of all three, by which the added light is green.

        Less what the place showed of it before: leaves are green in any light. Nor more than the place shows of it now:
        what turns white was violet before, or has lost its violet to overexposure.
        """
        green: NDArray[np.float32] = np.minimum(_green(self.light), _green(self.before + self.light))
        return green - np.maximum(_green(self.before), 0)


def added_light(before: Colours, now: Colours) -> AddedLight | None:
    """What `now` adds to `before`, (rows, columns, 3) levels; None where too little shows its colour."""
    lit = (now - before).mean(axis=2) > _LIT_LEVELS
    open_ = lit & (now.max(axis=2) < SATURATED)
    count = np.count_nonzero(open_)
    if count < FEWEST_PIXELS:
        return None
    ground = linear(before[open_])
    light = np.maximum(linear(now[open_]) - ground, 0)
    total = np.maximum(light.sum(axis=1), np.float32(1e-4))
    scene = linear(before[before.max(axis=2) > DARK]).sum(axis=0)
    return AddedLight(ground, light, total, float(_green(scene)), 1.0 - count / np.count_nonzero(lit))


def linear(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light, 1 = white, from levels 0..255 by the usual power law of displays."""
    shown = np.maximum(levels, 0).astype(np.float32)
    light: NDArray[np.float32] = (shown / np.float32(255)) ** np.float32(2.2)
    return light


def _green(light: Colours) -> NDArray[np.float32]:
    total = light.sum(axis=-1)
    green: NDArray[np.float32] = (1.5 * light[..., 1] - 0.5 * total) / np.maximum(total, np.float32(1e-4))
    return green
