"""Rain: streaks that reflect the light around them."""

import cv2
import numpy as np

from storm.camera import levels_of
from storm.canvas import Canvas
from storm.texture import Plane, blurred, dice
from storm.world import World

GLINT = {"night": 0.45, "dusk": 0.25, "day": 0.10}
"""Brightness of a drop relative to the light behind it: at night it is before the dark and near a lamp."""
NOISE_SAMPLES = 16


class Rain:
    """Falling streaks, new in every frame; in the dark they are visible only near lamps."""

    def __init__(self, shape: tuple[int, int], amount: float, world: World, seed: int) -> None:
        self._shape = shape
        self._seed = seed
        self._streaks = _streaks(shape, amount, dice(seed, "rain"))
        self._light = np.asarray(
            blurred(world.light(0.0), shape[0] * 0.04) * np.float32(GLINT[world.sky]) + np.float32(4e-4), np.float32
        )

    def fall(self, canvas: Canvas, number: int) -> None:
        """Add the rain of frame `number`."""
        canvas.add(self._drops(number))

    def noise_levels(self, light: Plane, grid: tuple[int, int]) -> Plane:
        """Return (rows, columns) levels by which rain makes the blocks of a scene of `light` vary."""
        shown = [levels_of(light + self._drops(number)) for number in range(NOISE_SAMPLES)]
        blocks = [cv2.resize(one, grid, interpolation=cv2.INTER_AREA) for one in shown]
        return np.asarray(np.std(blocks, axis=0), np.float32)

    def _drops(self, number: int) -> Plane:
        height, width = self._shape
        top, left = dice(self._seed, "drops", number).integers(0, (height, width))
        drops = self._streaks[top : top + height, left : left + width]
        return np.asarray(cv2.multiply(drops, self._light), np.float32)


def _streaks(shape: tuple[int, int], amount: float, rng: np.random.Generator) -> Plane:
    """Return (2 height, 2 width) streaks of many lengths, slightly slanted."""
    height, width = shape
    picture = np.zeros((2 * height, 2 * width), np.uint8)
    slant = float(rng.normal(0, 0.12))
    for _ in range(int(1600 * amount)):
        x, y = rng.uniform(0, 2 * width), rng.uniform(0, 2 * height)
        near = float(rng.random()) ** 3
        long = height * (0.02 + 0.14 * near)
        start = (round(x * 8), round(y * 8))
        end = (round((x + slant * long) * 8), round((y + long) * 8))
        thick = max(1, round(height / 360 * (1 + 1.5 * near)))
        cv2.line(picture, start, end, int(70 + 185 * rng.random()), thick, cv2.LINE_AA, 3)
    return blurred(picture.astype(np.float32) / np.float32(255), max(0.6, height / 500))
