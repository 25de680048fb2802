"""What keeps time: lights of one place, strength and rhythm are lamps, and are learnt."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import Grid

# A lamp stays where it is, and noise moves only the faint edge of what it lights, of small lights half of the blocks:
# it is asked how much of the light fell where the other was lit. Strokes come from all over a storm.
SAME_PLACE = 0.85
# A lamp is as bright each time, but for noise and mains; strokes of one storm differ by a factor of two and more.
SAME_STRENGTH = 0.2
# Relays and thermal flashers keep their period to some hundredths, electronics better.
SAME_RHYTHM = 0.025
# A blink or two may go unseen (something passes, a flash outshines it); with more left out, any gap would fit.
PERIODS_IN_A_GAP = 3
# A gap that one light in ten would keep by chance counts in full, a likelier one for less: a picture tells when a light
# came on to within a frame only, and seen so coarsely much is in time that is not.
BY_CHANCE = 0.1
# Enough for what is seen coarsely: five blinks' worth of a lamp of one second at five frames a second.
REMEMBERED = 20
# So many blinks in time are a machine: of the flashes of a storm not one in a thousand has as many behind it by chance.
LEARNT_BLINKS = 5
# So is a light curve that repeats itself so well: strokes come at intervals that differ by their own size.
LEARNT_REGULARITY = 0.9
# A habit is forgotten after some minutes: lamps are switched off, and then it only makes blind.
FORGET_SECONDS = 300.0
# The next blink may be as much brighter as lights alike may differ, and some noise is on top.
MARGIN = 1.3
# Fewer frames, a second of most cameras, repeat themselves by chance.
REPETITION_FRAMES = 24
# Beats of which a curve holds fewer may be chance as well: of strokes some three are often evenly spaced.
REPETITION_TIMES = 5
# What repeats itself is out of step with itself in between; what only fades is like itself a little later.
SWING = 0.2


@dataclass(frozen=True, slots=True)
class _Light:
    start: float
    within: float
    mask: NDArray[np.bool_]
    strength: float


class PeriodicLights:
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

    def add(self, start: float, mask: NDArray[np.bool_], rise: Grid, regularity: float, *, within: float) -> float:
        """Remember a light that is over; how many before it had its place and strength and came in its rhythm.

        Less than that many where time is so coarse that chance keeps it too.

        start: seconds on the source's clock; within: seconds, a frame, by which it may be late.
        rise: (rows, columns) levels above the background; mask: the blocks that lit up.
        regularity: how well its own curve repeats itself, up to 1.
        """
        light = _Light(start, within, mask, float(rise[mask].sum()))
        blinks = self._count(light, rise)
        self._lights.append(light)
        if blinks >= LEARNT_BLINKS or regularity >= LEARNT_REGULARITY:
            habit = np.where(mask, np.float32(MARGIN) * rise, np.float32(0)).astype(np.float32)
            self._level = habit if self._level is None else np.maximum(self._level, habit)
            self._level_seconds = start
        return blinks

    def _count(self, light: _Light, rise: Grid) -> float:
        """Earlier lights that form a regular series with this one, the last of them, counted by what they prove."""
        starts = [earlier.start for earlier in self._lights if _alike(earlier, light, rise)] + [light.start]
        gaps = np.diff(starts)[::-1]
        if not len(gaps):
            return 0.0
        # Of the last gaps only: whatever came long before need not have been in time.
        shortest = float(gaps[:LEARNT_BLINKS].min())
        tolerance = max(SAME_RHYTHM * shortest, light.within)
        least, most, count = 0.0, math.inf, 0
        for gap in gaps:
            times = round(gap / shortest)
            if not 1 <= times <= PERIODS_IN_A_GAP:
                break
            # One period has to explain all gaps. Frames of a true one lie less than a frame off, never a whole one.
            least, most = max(least, (gap - tolerance) / times), min(most, (gap + tolerance) / times)
            if most - least < 1e-6:
                break
            count += 1
        # The first gap sets the period: two lights make no rhythm.
        return count * _worth(2 * tolerance / shortest) if count >= 2 else 0.0


def _worth(by_chance: float) -> float:
    """What a blink in time proves, 0..1, where a share of `by_chance` of all lights would seem to be in time."""
    return min(1.0, math.log(min(1.0, by_chance)) / math.log(BY_CHANCE))


def _alike(earlier: _Light, now: _Light, rise: Grid) -> bool:
    """Whether `now`, whose blocks rise by `rise`, shines where `earlier` did, and as strongly."""
    stronger = max(earlier.strength, now.strength)
    if abs(earlier.strength - now.strength) > SAME_STRENGTH * stronger:
        return False
    return float(rise[earlier.mask & now.mask].sum()) >= SAME_PLACE * now.strength


def repetition(light: NDArray[np.floating]) -> float | None:
    """How well a light curve repeats itself, up to 1; None where it is too short to tell.

    The highest autocorrelation beyond the first swing, over lags of which the curve holds five or more.
    """
    if len(light) < REPETITION_FRAMES:
        return None
    values = light.astype(np.float64)
    best, swung = 0.0, False
    for lag in range(1, len(values) // REPETITION_TIMES + 1):
        first, second = values[:-lag] - values[:-lag].mean(), values[lag:] - values[lag:].mean()
        alike = float(first @ second) / max(float(np.sqrt((first @ first) * (second @ second))), 1e-9)
        swung = swung or alike < SWING
        best = max(best, alike if swung else 0.0)
    return best
