"""Canvas: the light of one frame while it is composed, with its colour if requested."""

import cv2
import numpy as np
from numpy.typing import NDArray

from storm.texture import Plane

Tint = tuple[float, float]


class Canvas:
    """A sum of light: `light` is (height, width) linear; colour is kept at half size as light-weighted Cb and Cr."""

    def __init__(self, light: Plane, chroma: tuple[Plane, Plane] | None) -> None:
        self.light = light
        self._total: list[Plane] | None = None
        if chroma is not None:
            half = light[::2, ::2]
            self._total = [half * plane for plane in chroma]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.light.shape[0], self.light.shape[1]

    def add(self, plane: Plane, tint: Tint = (0.0, 0.0)) -> None:
        """Add light over the whole frame."""
        cv2.add(self.light, plane, self.light)
        if self._total is not None:
            half = plane[::2, ::2]
            for part, share in zip(self._total, tint, strict=True):
                cv2.scaleAdd(half, share, part, part)

    def spot(self, centre: tuple[float, float], radius: float, level: float, tint: Tint = (0.0, 0.0)) -> None:
        """Add a soft spot of light `level`; `centre` (x, y) and `radius` in pixels: at three radii nothing is left."""
        height, width = self.shape
        reach = max(2.0, 3 * radius)
        left, right = (int(np.clip(centre[0] + side * reach, 0, width)) for side in (-1, 1))
        top, bottom = (int(np.clip(centre[1] + side * reach, 0, height)) for side in (-1, 1))
        left, top = left - left % 2, top - top % 2
        if right <= left or bottom <= top:
            return
        across = np.exp(-0.5 * ((np.arange(left, right) - centre[0]) / max(radius, 0.5)) ** 2)
        down = np.exp(-0.5 * ((np.arange(top, bottom) - centre[1]) / max(radius, 0.5)) ** 2)
        patch = (np.outer(down, across) * level).astype(np.float32)
        self.light[top:bottom, left:right] += patch
        if self._total is not None:
            half = patch[::2, ::2]
            for total, share in zip(self._total, tint, strict=True):
                y, x = top // 2, left // 2
                total[y : y + half.shape[0], x : x + half.shape[1]] += half * np.float32(share)

    def points(self, places: NDArray[np.float64], radius: float, level: float, tint: Tint = (0.0, 0.0)) -> None:
        """Add many small spots at `places` (count, 2): x and y in pixels."""
        plane = np.zeros(self.shape, np.float32)
        x, y = np.round(places).astype(int).T
        inside = (x >= 0) & (x < self.shape[1]) & (y >= 0) & (y < self.shape[0])
        np.add.at(plane, (y[inside], x[inside]), np.float32(level * 2 * np.pi * max(radius, 0.4) ** 2))
        self.add(np.asarray(cv2.GaussianBlur(plane, (0, 0), max(radius, 0.4)), np.float32), tint)

    def scale(self, gain: float) -> None:
        """Multiply all light by `gain`."""
        if gain != 1.0:
            self.light *= np.float32(gain)
            self._total = None if self._total is None else [part * np.float32(gain) for part in self._total]

    def shift(self, right: float, down: float) -> None:
        """Move the whole frame by pixels; the edge is repeated."""
        if right == 0 and down == 0:
            return
        self.light = _moved(self.light, right, down)
        if self._total is not None:
            self._total = [_moved(total, right / 2, down / 2) for total in self._total]

    def chroma(self, luma: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return (height / 2, width / 2) uint8 Cb and Cr for the finished luma; colour fades towards white."""
        if self._total is None:
            raise ValueError("this canvas was made without colour")
        shown = (luma[::2, ::2].astype(np.float32) - 16) * np.float32(224 / 219)
        room = np.clip((np.float32(235) - luma[::2, ::2]) / np.float32(50), 0, 1)
        half = self.light[::2, ::2] + np.float32(1e-4)
        cb, cr = (np.clip(128 + total / half * shown * room, 16, 240).astype(np.uint8) for total in self._total)
        return cb, cr


def _moved(plane: Plane, right: float, down: float) -> Plane:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = (plane.shape[1], plane.shape[0])
    return np.asarray(cv2.warpAffine(plane, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
