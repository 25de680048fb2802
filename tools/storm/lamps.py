"""Lamps: the lights of a town, each with a colour, and their glow."""

import numpy as np

from storm.texture import Plane, blurred

WARM, WHITE, RED = (-0.30, 0.14), (0.02, -0.02), (-0.15, 0.35)
"""Cb and Cr of sodium lamps and bulbs, of fluorescent and LED light, and of signal lights, as shares of the luma."""


class Lamps:
    """Light of many lamps: `light` (height, width) linear, and `tinted`, the same times each lamp's Cb and Cr."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.light: Plane = np.zeros(shape, np.float32)
        self.tinted: tuple[Plane, Plane] = (np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def lamp(self, place: tuple[float, float], radius: float, level: float, rng: np.random.Generator) -> None:
        """Add one round lamp at `place` (x, y in pixels)."""
        height, width = self.light.shape
        reach = max(2, round(3 * radius))
        x, y = (round(value) for value in place)
        rows, columns = np.ogrid[max(0, y - reach) : min(height, y + reach), max(0, x - reach) : min(width, x + reach)]
        distance = (rows - place[1]) ** 2 + (columns - place[0]) ** 2
        self._put((rows, columns), np.exp(-0.5 * distance / max(radius, 0.5) ** 2) * level, _color(rng))

    def windows(
        self, sides: tuple[int, int], heights: tuple[float, float], bright: float, rng: np.random.Generator
    ) -> None:
        """Add the lit windows of one house: `sides` in pixels, `heights` top and bottom as shares of the frame."""
        height = self.light.shape[0]
        pane = max(1, round(height / 300))
        step = 3 * pane
        color = _color(rng)
        lit = float(rng.uniform(0.06, 0.35))
        for y in range(int(heights[0] * height) + step, int(heights[1] * height), step + pane):
            for x in range(sides[0] + pane, sides[1] - pane, step):
                if rng.random() < lit:
                    shade = color if rng.random() < 0.7 else _color(rng)
                    window = np.ogrid[y : min(y + 2 * pane, height), x : x + pane]
                    self._put((window[0], window[1]), float(rng.uniform(0.02, 0.22)) * bright, shade)

    def glow(self, radius: float) -> None:
        """Spread a part of all light over its surroundings, as wet air and the lens do."""
        self.light = _glowing(self.light, radius)
        self.tinted = (_glowing(self.tinted[0], radius), _glowing(self.tinted[1], radius))

    def _put(self, where: tuple[np.ndarray, np.ndarray], level: object, color: tuple[float, float]) -> None:
        light = np.asarray(level, np.float32)
        self.light[where] += light
        for plane, share in zip(self.tinted, color, strict=True):
            plane[where] += light * np.float32(share)


def _glowing(plane: Plane, radius: float) -> Plane:
    """Return `plane` with its own blur added, for both signs, since a colour difference may be negative."""
    spread = blurred(np.maximum(plane, 0), radius) - blurred(np.maximum(-plane, 0), radius)
    return np.asarray(plane + np.float32(0.8) * spread, np.float32)


def _color(rng: np.random.Generator) -> tuple[float, float]:
    return (WARM, WARM, WARM, WHITE, WHITE, RED)[int(rng.integers(0, 5 if rng.random() < 0.8 else 6))]
