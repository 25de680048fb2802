"""Fractal textures and random numbers: all randomness of a scene comes from here, by seed and purpose."""

import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""(height, width) float32."""


def dice(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """Return random numbers that depend only on the seed, the purpose and a number."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), number])


def fractal(shape: tuple[int, int], rng: np.random.Generator, *, slope: float = 1.7, stretch: float = 1.0) -> Plane:
    """Make cloud-like noise that joins without a seam at its edges.

    Args:
        shape: (height, width) in pixels.
        rng: source of randomness.
        slope: how fast amplitude falls with spatial frequency; clouds have about 5/3 (Kolmogorov), smaller is rougher.
        stretch: how much longer than high the structures are.

    Returns:
        (height, width) values in 0..1.
    """
    height, width = shape
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    rows = np.fft.fftfreq(height)[:, None] * height
    columns = np.fft.rfftfreq(width)[None, :] * height * stretch
    distance = np.hypot(rows, columns)
    distance[0, 0] = 1.0
    amplitude = distance ** -(slope / 2 + 0.5)
    amplitude[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum * amplitude, s=shape)
    low, high = np.percentile(noise, (2, 98))
    return np.asarray(np.clip((noise - low) / (high - low), 0, 1), np.float32)


def ridge(width: int, rng: np.random.Generator, *, slope: float = 2.0) -> NDArray[np.float32]:
    """Return the (width,) outline of hills or treetops in 0..1."""
    frequency = np.fft.rfftfreq(2 * width) * 2 * width
    frequency[0] = 1.0
    spectrum = np.fft.rfft(rng.standard_normal(2 * width)) * frequency ** -(slope / 2 + 0.5)
    spectrum[0] = 0.0
    line = np.fft.irfft(spectrum)[:width]
    return np.asarray((line - line.min()) / max(float(np.ptp(line)), 1e-9), np.float32)


def smooth_step(value: Any, low: float, high: float) -> Any:
    """Return 0 below `low`, 1 above `high`, and a smooth S between."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def blob(shape: tuple[int, int], centre: tuple[float, float], sigma: tuple[float, float]) -> Plane:
    """Return a soft spot of height 1; `centre` (x, y) and `sigma` (x, y) in pixels."""
    height, width = shape
    across = np.exp(-0.5 * ((np.arange(width) - centre[0]) / sigma[0]) ** 2)
    down = np.exp(-0.5 * ((np.arange(height) - centre[1]) / sigma[1]) ** 2)
    return np.outer(down, across).astype(np.float32)


def blurred(plane: Plane, sigma: float) -> Plane:
    """Return `plane` with a Gaussian blur of `sigma` pixels; wide blurs are computed on a smaller array."""
    if sigma <= 6:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
    step = sigma / 3
    size = (max(2, round(plane.shape[1] / step)), max(2, round(plane.shape[0] / step)))
    small = cv2.GaussianBlur(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), (0, 0), 3)
    return np.asarray(cv2.resize(small, plane.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32).clip(0)
