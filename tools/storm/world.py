"""The world of a scene: sky, drifting clouds, land and lights, as linear light and colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from storm.camera import light_of
from storm.lamps import Lamps
from storm.texture import Plane, dice, fractal, ridge, smooth_step

Tint = tuple[float, float]
"""Blue and red difference (Cb, Cr), as shares of the luma."""
SKY_LEVELS = {"night": (9.0, 40.0), "dusk": (52.0, 112.0), "day": (168.0, 205.0)}
"""Levels of the clear sky overhead and at the horizon."""
LAND_LEVELS = {"night": 5.0, "dusk": 20.0, "day": 70.0}
SKY_TINT: dict[str, tuple[Tint, Tint]] = {
    "night": ((0.10, 0.00), (-0.10, 0.10)),
    "dusk": ((0.18, -0.06), (-0.04, 0.10)),
    "day": ((0.03, -0.02), (0.01, 0.0)),
}
LAND_TINT: Tint = (-0.06, 0.01)


class World:
    """The static and drifting parts of a scene. `light(seconds)` is the frame without flashes and look-alikes."""

    def __init__(self, shape: tuple[int, int], look: tuple[str, str], wind: float, seed: int) -> None:
        self.shape = shape
        self.sky, self.land = look
        self._houses: list[tuple[int, int, float]] = []
        rng = dice(seed, "world")
        self.horizon = float(rng.uniform(0.72, 0.84)) if self.land != "none" else 1.0
        self.sky_mask = self._outline(rng)
        height, width = shape
        self.ground_albedo: Plane = np.float32(0.3) + np.float32(0.7) * fractal((height, width), rng, slope=1.0)
        self._speed = (wind * width * 0.01, wind * width * 0.02)  # a storm's low clouds cross the view in a minute
        self._layers = [_cloud_layer(shape, rng, slope) for slope in (2.2, 1.7)]
        high, low = (np.float32(light_of(level)) for level in SKY_LEVELS[self.sky])
        up = np.clip(np.arange(height, dtype=np.float32) / (self.horizon * height), 0, 1)[:, None] ** 2
        self._sky = (high + (low - high) * up) * self.sky_mask
        self._cloud_gain = {"night": (0.45, 1.2), "dusk": (1.15, -0.7), "day": (1.1, -0.75)}[self.sky]
        land = np.float32(light_of(LAND_LEVELS[self.sky])) * self.ground_albedo * (1 - self.sky_mask)
        self._lamps = self._light_lamps(rng)
        self._fixed: Plane = np.asarray(land + self._lamps.light, np.float32)
        self.chroma = self._chroma(up)

    def cloud(self, seconds: float) -> Plane:
        """Return the (height, width) thickness of the clouds, 0..1."""
        low, high = (
            _shifted(layer, speed * seconds, self.shape[1])
            for layer, speed in zip(self._layers, self._speed, strict=True)
        )
        return np.asarray(cv2.addWeighted(low, 0.65, high, 0.35, 0), np.float32)

    def light(self, seconds: float) -> Plane:
        """Return (height, width) linear light of the scene, without flashes and look-alikes."""
        base, change = self._cloud_gain
        cloud = cv2.addWeighted(self.cloud(seconds), change, self.sky_mask, 0, base)
        return np.asarray(cv2.add(cv2.multiply(self._sky, cloud), self._fixed), np.float32)

    def _outline(self, rng: np.random.Generator) -> Plane:
        """Return 1 where the sky is visible, 0 where land, trees or houses cover it."""
        height, width = self.shape
        if self.land == "none":
            return np.ones(self.shape, np.float32)
        top = self.horizon - 0.10 * ridge(width, rng, slope=2.4)
        if self.land == "trees":
            top = top - 0.10 * ridge(width, rng, slope=0.9) - 0.12 * smooth_step(ridge(width, rng, slope=2.0), 0.5, 0.9)
        if self.land == "city":
            self._houses = _houses(width, rng)
            for left, right, tall in self._houses:
                top[left:right] = np.minimum(top[left:right], self.horizon - tall)
        rows = np.arange(height, dtype=np.float32)[:, None]
        return np.asarray(np.clip(top[None, :] * height - rows, 0, 1), np.float32)

    def _light_lamps(self, rng: np.random.Generator) -> Lamps:
        """Add windows, street lamps and distant lights, with their glow."""
        lamps = Lamps(self.shape)
        if self.land == "none" or self.sky == "day":
            return lamps
        bright = {"night": 1.0, "dusk": 0.5}[self.sky]
        height, width = self.shape
        for left, right, tall in self._houses:
            lamps.windows((left, right), (self.horizon - tall, self.horizon + 0.02), bright, rng)
        for _ in range({"city": 150, "hills": 14, "trees": 6}[self.land]):
            down = float(rng.random()) ** 1.5  # most lights are far away, near the horizon, small and faint
            place = (float(rng.uniform(0, width)), height * (self.horizon + 0.02 + (0.95 - self.horizon) * down))
            lamps.lamp(place, height * (0.0016 + 0.002 * down), bright * float(rng.uniform(0.05, 0.4)), rng)
        for _ in range(9 if self.land == "city" else 2):
            place = (float(rng.uniform(0, width)), height * float(rng.uniform(self.horizon + 0.05, 0.97)))
            lamps.lamp(place, height * 0.005, bright * float(rng.uniform(0.5, 1.2)), rng)
        lamps.glow(height * 0.03)
        return lamps

    def _chroma(self, up: NDArray[np.float32]) -> tuple[Plane, Plane]:
        """Return (height / 2, width / 2) Cb and Cr of all static parts, as shares of the luma."""
        total = self._fixed + self._sky + np.float32(1e-4)
        share = self._lamps.light / total
        planes = []
        for overhead, below, land, lamps in zip(*SKY_TINT[self.sky], LAND_TINT, self._lamps.tinted, strict=True):
            still = (overhead + (below - overhead) * up) * self.sky_mask + land * (1 - self.sky_mask)
            plane = still * (1 - share) + lamps / total
            planes.append(cv2.resize(plane.astype(np.float32), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        return planes[0], planes[1]


def _houses(width: int, rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """Return left, right (pixels) and height (share of the frame) of the houses of a skyline; few are tall."""
    houses = []
    left = 0
    while left < width:
        right = left + int(rng.uniform(0.02, 0.07) * width) + 3
        if rng.random() < 0.75:
            houses.append((left, min(right, width), 0.03 + 0.32 * float(rng.random()) ** 3))
        left = right
    return houses


def _cloud_layer(shape: tuple[int, int], rng: np.random.Generator, slope: float) -> Plane:
    """Return (height, 2 width + ...) clouds in perspective: flatter and denser towards the horizon; the sides join."""
    height, width = shape
    tile = fractal((2 * height, 2 * width), rng, slope=slope, stretch=1.6)
    down = np.linspace(0, 1, height, dtype=np.float32)
    row = (2 * height - 1) * (1 - (1 - 0.6 * down) ** 1.5) / (1 - 0.4**1.5) * 0.9
    x, y = np.meshgrid(np.arange(2 * width, dtype=np.float32), row.astype(np.float32))
    seen = cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = smooth_step(seen, 0.1, 0.9).astype(np.float32)
    return np.ascontiguousarray(np.hstack([seen, seen[:, : width + 1]]))


def _shifted(layer: Plane, shift: float, width: int) -> Plane:
    """Return `width` columns of the layer, from `shift` pixels on, interpolated between pixels."""
    period = layer.shape[1] - width - 1
    whole, part = divmod(shift % period, 1.0)
    left = int(whole)
    here, there = layer[:, left : left + width], layer[:, left + 1 : left + 1 + width]
    return np.asarray(cv2.addWeighted(here, 1 - part, there, part, 0), np.float32)
