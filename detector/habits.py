"""What keeps time: lights of one place, strength and rhythm are lamps, and are learnt."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.brightness import Grid

# Lamps blink within these bounds of their usual place, strength and rhythm; strokes keep none of the three.
SAME_PLACE = 0.7
SAME_STRENGTH = 0.2
SAME_RHYTHM = 0.05
REMEMBERED = 12
# So many blinks in time, or a light curve that repeats itself so well, are a machine.
LEARNT_BLINKS = 5
LEARNT_REGULARITY = 0.9
# A habit is forgotten after some minutes: lamps are switched off, and then it only makes blind.
FORGET_SECONDS = 300.0
MARGIN = 1.3


@dataclass(frozen=True, slots=True)
class _Light:
    start: float
    mask: NDArray[np.bool_]
    strength: float


class Habits:
    """Remembers the last lights of one camera; `threshold` is how far each block may rise out of habit."""

    def __init__(self) -> None:
        self._lights: deque[_Light] = deque(maxlen=REMEMBERED)
        self._level: Grid | None = None
        self._level_seconds = 0.0

    def forget(self) -> None:
        """The camera may look elsewhere now."""
        self._lights.clear()
        self._level = None

    def threshold(self, seconds: float) -> Grid | None:
        """(rows, columns) levels, or None while no habit is known."""
        if self._level is not None and seconds - self._level_seconds > FORGET_SECONDS:
            self._level = None
        return self._level

    def add(self, start: float, mask: NDArray[np.bool_], rise: Grid, regularity: float) -> int:
        """Remember a light that is over; how many before it had its place and strength and came in its rhythm."""
        light = _Light(start, mask.copy(), float(rise[mask].sum()) if mask.any() else 0.0)
        blinks = self._count(light)
        self._lights.append(light)
        if blinks >= LEARNT_BLINKS or regularity >= LEARNT_REGULARITY:
            habit = np.where(mask, np.float32(MARGIN) * rise, np.float32(0)).astype(np.float32)
            self._level = habit if self._level is None else np.maximum(self._level, habit)
            self._level_seconds = start
        return blinks

    def _count(self, light: _Light) -> int:
        """Earlier lights that form a regular series with this one, the last of them."""
        alike = [earlier for earlier in self._lights if _alike(earlier, light)]
        starts = [earlier.start for earlier in alike] + [light.start]
        gaps = np.diff(starts)[::-1]
        if not len(gaps) or gaps[0] <= 0:
            return 0
        shortest = float(gaps[:LEARNT_BLINKS].min())
        count = 0
        for gap in gaps:
            # A blink that went unseen leaves a gap of twice the period.
            times = gap / shortest
            if round(times) > 3 or abs(times - round(times)) > SAME_RHYTHM:
                break
            count += 1
        # Two lights make no rhythm.
        return count if count >= 2 else 0


def _alike(first: _Light, second: _Light) -> bool:
    if first.mask.shape != second.mask.shape:
        return False
    either = int(np.count_nonzero(first.mask | second.mask))
    both = int(np.count_nonzero(first.mask & second.mask))
    stronger = max(first.strength, second.strength)
    return both >= SAME_PLACE * either and abs(first.strength - second.strength) <= SAME_STRENGTH * stronger


def repetition(light: NDArray[np.floating]) -> float | None:
    """How well a light curve repeats itself, up to 1; None where it is too short to tell.

    The highest autocorrelation beyond the first swing, over lags of which the curve holds five or more.
    """
    if len(light) < 24:
        return None
    values = light.astype(np.float64)
    best, swung = 0.0, False
    for lag in range(1, len(values) // 5 + 1):
        first, second = values[:-lag] - values[:-lag].mean(), values[lag:] - values[lag:].mean()
        alike = float(first @ second) / max(float(np.sqrt((first @ first) * (second @ second))), 1e-9)
        swung = swung or alike < 0.2
        best = max(best, alike if swung else 0.0)
    return best
