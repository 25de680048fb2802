"""The camera of a scene: tone curve, sensor noise, exposure and rolling shutter."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from storm.texture import Plane, dice

TOE = 0.004
"""Light below this is shown linearly, above it by a square root: close to the curve of BT.709, and fast."""
_SCALE = 255.0 / (np.sqrt(1 + TOE) - np.sqrt(TOE))
WELL_ELECTRONS = 10_000.0
READ_ELECTRONS = 3.0
BANK_TILES = 3


def light_of(levels: Any) -> Any:
    """Return the linear light (1 = white) that the camera shows as `levels` (0..255)."""
    root = np.asarray(levels, np.float64) / _SCALE + np.sqrt(TOE)
    return root * root - TOE


def levels_of(light: Plane) -> Plane:
    """Return (height, width) levels 0..255 of linear light, without noise."""
    shown = np.sqrt(np.maximum(light, 0) + np.float32(TOE)) - np.float32(np.sqrt(TOE))
    return np.asarray(np.minimum(shown * np.float32(_SCALE), 255), np.float32)


@dataclass(frozen=True, slots=True)
class Camera:
    """The properties of a camera.

    Attributes:
        gain: electronic amplification, 1 in daylight, 4 to 16 at night; shot and read noise grow with it.
        exposure: share of the frame interval during which a row gathers light.
        readout: share of the frame interval between the first and the last row (rolling shutter); 0 = all at once.
        grain_pixels: distance over which pixels share their noise (demosaicing, denoising), 0 = none.
    """

    gain: float
    exposure: float
    readout: float = 0.0
    grain_pixels: float = 0.6

    def __post_init__(self) -> None:
        if self.gain < 0:
            raise ValueError(f"camera gain must not be negative, got {self.gain}")
        if not 0 < self.exposure <= 1:
            raise ValueError(f"camera exposure must be a share of the frame interval in (0, 1], got {self.exposure}")
        if not 0 <= self.readout <= 1:
            raise ValueError(f"camera readout must be a share of the frame interval in [0, 1], got {self.readout}")


class Sensor:
    """Convert linear light to noisy 8-bit luma of limited range (16..235), the same for the same seed and frame."""

    def __init__(self, camera: Camera, shape: tuple[int, int], seed: int) -> None:
        self.camera = camera
        self._shape = shape
        self._seed = seed
        self._bank = _noise_bank(camera, shape, dice(seed, "sensor"))
        self._read = np.float32((camera.gain * READ_ELECTRONS / WELL_ELECTRONS) ** 2)
        self._shot = np.float32(camera.gain / WELL_ELECTRONS)

    def luma(self, light: Plane, frame: int) -> NDArray[np.uint8]:
        """Return (height, width) uint8 of the light that frame number `frame` gathered."""
        if self.camera.gain > 0:
            height, width = self._shape
            rng = dice(self._seed, "noise", frame)
            top, left = rng.integers(0, (BANK_TILES - 1) * np.array(self._shape))
            noise = self._bank[top : top + height, left : left + width]
            light = light + noise * np.sqrt(np.maximum(light, 0) * self._shot + self._read)
        shown = np.sqrt(np.maximum(light, 0) + np.float32(TOE))
        scale = _SCALE * 219 / 255
        black = 16 - np.sqrt(TOE) * scale
        levels = cv2.addWeighted(shown, float(scale), shown, 0, float(black), dtype=cv2.CV_8U)
        return np.asarray(np.minimum(levels, 235), np.uint8)

    def noise_levels(self, light: Plane) -> Plane:
        """Return (height, width) standard deviation of each pixel, in levels of 0..255."""
        spread = np.sqrt(np.maximum(light, 0) * self._shot + self._read)
        slope = _SCALE / (2 * np.sqrt(np.maximum(light, 0) + TOE))
        return np.asarray(spread * slope, np.float32)

    def block_share(self, grid: tuple[int, int]) -> float:
        """Return the share of the pixels' noise left in the mean of one block of a grid of (columns, rows)."""
        height, width = self._shape
        means = cv2.resize(self._bank[:height, :width], grid, interpolation=cv2.INTER_AREA)
        return float(np.std(means))


def _noise_bank(camera: Camera, shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Return a large array of unit noise; a frame cuts its noise from a random place, which is ten times faster."""
    size = (BANK_TILES * shape[0], BANK_TILES * shape[1])
    bank = rng.standard_normal(size, dtype=np.float32)
    if camera.grain_pixels > 0:
        bank = np.asarray(cv2.GaussianBlur(bank, (0, 0), camera.grain_pixels), np.float32)
        bank /= np.float32(bank.std())
    return bank
