"""The channel of a flash: a jagged path with branches."""

import cv2
import numpy as np
from numpy.typing import NDArray

from storm.texture import Plane

Path = NDArray[np.float64]
"""(points, 2) x and y in pixels."""


def jagged(start: tuple[float, float], end: tuple[float, float], rng: np.random.Generator, rough: float = 0.16) -> Path:
    """Return a path from `start` to `end`, halved seven times, each new point moved aside by a share of its length."""
    path = np.array([start, end], np.float64)
    for _ in range(7):
        step = np.diff(path, axis=0)
        aside = np.stack([-step[:, 1], step[:, 0]], axis=1)
        middle = (path[:-1] + path[1:]) / 2 + aside * rng.normal(0, rough, (len(step), 1))
        joined = np.empty((len(path) + len(middle), 2))
        joined[0::2], joined[1::2] = path, middle
        path = joined
    return path


def draw_bolt(
    shape: tuple[int, int], start: tuple[float, float], end: tuple[float, float], rng: np.random.Generator
) -> Plane:
    """Return (height, width) float32 in 0..1: the channel from `start` to `end` (x, y in pixels) with its branches."""
    unit = max(1.0, shape[0] / 360)
    main = jagged(start, end, rng)
    lines = [(main, 1.0, 1.3 * unit)]
    length = float(np.hypot(*(main[-1] - main[0])))
    for _ in range(int(rng.integers(4, 9))):
        root = int(rng.integers(6, int(len(main) * 0.85)))
        branch = _branch(main, root, length * float(rng.uniform(0.12, 0.4)), rng)
        weight = float(rng.uniform(0.25, 0.6))
        lines.append((branch, weight, 0.8 * unit))
        if rng.random() < 0.6:
            twig = _branch(branch, len(branch) // 2, length * float(rng.uniform(0.06, 0.15)), rng)
            lines.append((twig, weight * 0.5, 0.6 * unit))
    channel = np.zeros(shape, np.float32)
    for path, weight, thick in lines:
        channel = np.maximum(channel, _stroke(shape, path, thick) * np.float32(weight))
    return channel


def _branch(parent: Path, root: int, length: float, rng: np.random.Generator) -> Path:
    """Return a side path that leaves `parent` at point `root`, turned 20 to 55 degrees from its direction."""
    ahead = parent[min(root + 12, len(parent) - 1)] - parent[root - 6]
    angle = np.arctan2(ahead[1], ahead[0]) + np.radians(rng.uniform(20, 55)) * rng.choice((-1, 1))
    way = np.array([np.cos(angle), np.sin(angle)])
    if way[1] < 0 < parent[-1][1] - parent[0][1] - abs(parent[-1][0] - parent[0][0]):
        way[1] *= -1  # a downward channel does not branch upwards
    tip = parent[root] + length * way
    return jagged((float(parent[root][0]), float(parent[root][1])), (float(tip[0]), float(tip[1])), rng)


def _stroke(shape: tuple[int, int], path: Path, thick: float) -> Plane:
    """Return the path drawn with `thick` pixels; below one pixel it becomes fainter."""
    picture = np.zeros(shape, np.uint8)
    points = np.round(path * 8).astype(np.int32)
    cv2.polylines(
        picture, [points], isClosed=False, color=255, thickness=max(1, round(thick)), lineType=cv2.LINE_AA, shift=3
    )
    return picture.astype(np.float32) * np.float32(min(1.0, thick) / 255)
