"""Memory of earlier lights of one camera: periodic lamps, and clutter, which rarely comes alone."""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid, Mask
from stream import load_opencv

cv2 = load_opencv()

# A lamp does not move, and noise changes only its faint edge, half of the blocks of a small light: this share of the
# light must be where the other was lit. Flashes come from all parts of a storm.
SAME_PLACE = 0.85
# A lamp is equally bright each time, except for noise and mains; flashes of one storm differ by a factor of two.
SAME_STRENGTH = 0.2
# Strokes of one place differ by a factor of two and more: three within a fifth of each other are a lamp.
BLINKS = 3
# Relays and thermal flashers keep their period to some hundredths, electronics better.
SAME_RHYTHM = 0.025
# One or two blinks may be missed (something passes, a flash outshines them); with more left out, any gap would fit.
PERIODS_IN_A_GAP = 3
# A gap that one light in ten would match by chance counts in full, a more likely one counts less: frames give the time
# of a light only to within their duration, and at low rates many gaps match by chance.
BY_CHANCE = 0.1
# Enough at low rates: five blinks' worth of a lamp of one second at five frames a second.
MOST_LIGHTS = 20
# So many matching blinks are a machine: fewer than one flash of a storm in a thousand has as many by chance.
LEARNT_BLINKS = 5
# So is a light curve that repeats this well: intervals between pulses differ by their own length.
LEARNT_REGULARITY = 0.9
# A lamp is forgotten after some minutes: when it is switched off, its level would only hide flashes.
FORGET_SECONDS = 300.0
# The next blink may be brighter by as much as similar lights differ, plus some noise.
MARGIN = 1.3
# Shorter curves, a second of most cameras, repeat by chance.
PERIODIC_FRAMES = 24
# Fewer periods in a curve may be chance as well: three pulses are often evenly spaced.
PERIODIC_BEATS = 5
# A periodic curve does not match itself half a period later; one that only fades matches itself a little later.
OUT_OF_STEP = 0.2
# More than the two frames into which a rolling shutter can divide one pulse.
ROAMS = 2.0
# If a tenth of its highest rise reaches less of the frame than this, the light has no glow. An insect close to the
# lens, with its streak, covers some hundredths; a pulse lights its cloud, which is larger.
ALONE = 0.09
# Insects stay around a lamp, and traffic on a road, for longer than this.
CLUTTER_MEMORY_SECONDS = 60.0

Record = TypeVar("Record")


class RecentLights(Generic[Record]):
    """Records of the last lights of one camera, oldest first.

    The records are replaced as a whole, so that threads may read while one adds.
    """

    def __init__(self, *, seconds: float = math.inf, most: int | None = None) -> None:
        """Remember `most` lights of the last `seconds`."""
        self._seconds = seconds
        self._most = most
        self._records: tuple[tuple[float, Record], ...] = ()

    def before(self, start_seconds: float) -> tuple[Record, ...]:
        """Return the records of the lights before `start_seconds`."""
        return tuple(record for _, record in self._recent(start_seconds))

    def add(self, start_seconds: float, record: Record) -> None:
        """Remember a light, and forget those that are too old or later than it."""
        kept = (*self._recent(start_seconds), (start_seconds, record))
        self._records = kept if self._most is None else kept[-self._most :]

    def forget(self) -> None:
        """Forget all lights: the camera may look elsewhere now."""
        self._records = ()

    def _recent(self, start_seconds: float) -> tuple[tuple[float, Record], ...]:
        # Records later than the current time belong to another recording.
        return tuple(one for one in self._records if 0 <= start_seconds - one[0] <= self._seconds)


@dataclass(frozen=True, slots=True)
class _Light:
    start: float
    within: float
    mask: Mask
    strength: float
    no_stroke: bool = False


class PeriodicLights:
    """Recognise lights of one place, strength and rhythm as a lamp, and learn how far its blocks rise."""

    def __init__(self) -> None:
        self._lights: RecentLights[_Light] = RecentLights(most=MOST_LIGHTS)
        self._level: Grid | None = None
        self._level_seconds = 0.0

    def forget(self) -> None:
        """Forget all lamps: the camera may look elsewhere now."""
        self._lights.forget()
        self._level = None

    def level(self, seconds: float) -> Grid | None:
        """Return the (rows, columns) levels by which known lamps rise, or None while none is known."""
        if self._level is not None and seconds - self._level_seconds > FORGET_SECONDS:
            self._level = None
        return self._level

    def knows(self, seconds: float, mask: Mask, rise: Grid) -> bool:
        """Return whether a light at `seconds` is a known lamp: one that shone as no stroke does, or its third blink.

        Args:
            seconds: when it shines.
            mask: (rows, columns) blocks that are lit.
            rise: (rows, columns) levels that it adds.
        """
        now = _Light(seconds, 0.0, mask, float(rise[mask].sum()))
        alike = [one for one in self._lights.before(seconds) if _alike(one, now, rise)]
        return any(one.no_stroke for one in alike) or len(alike) >= BLINKS - 1

    def add(
        self, start: float, mask: Mask, rise: Grid, regularity: float, *, within: float, no_stroke: bool = False
    ) -> float:
        """Remember a finished light, and return how many before it had its place, strength and rhythm.

        Args:
            start: seconds on the source's clock.
            mask: (rows, columns) blocks that were lit.
            rise: (rows, columns) levels above the background.
            regularity: how well its own curve repeats, up to 1.
            within: seconds by which `start` may be late: one frame.
            no_stroke: whether it shone as no stroke does.

        Returns:
            the number of earlier lights; less if the frame rate is so low that gaps match by chance.
        """
        light = _Light(start, within, mask, float(rise[mask].sum()), no_stroke)
        blinks = _blinks(self._lights.before(start), light, rise)
        self._lights.add(start, light)
        if blinks >= LEARNT_BLINKS or regularity >= LEARNT_REGULARITY:
            level = np.where(mask, np.float32(MARGIN) * rise, np.float32(0)).astype(np.float32)
            self._level = level if self._level is None else np.maximum(self._level, level)
            self._level_seconds = start
        return blinks


class ClutterMemory:
    """Count the recent lights of one camera that had no glow or moved about: insects, drops and headlights."""

    def __init__(self) -> None:
        self._lights: RecentLights[str] = RecentLights(seconds=CLUTTER_MEMORY_SECONDS)

    def forget(self) -> None:
        """Forget all lights: the camera may look elsewhere now."""
        self._lights.forget()

    def add(self, candidate: Candidate) -> int:
        """Remember a finished light, and return how many of the last minute before it were clutter."""
        count = len(self._lights.before(candidate.start_seconds))
        if candidate.roaming > ROAMS or _glow_share(candidate) < ALONE:
            self._lights.add(candidate.start_seconds, candidate.id)
        return count


def autocorrelation_peak(light: NDArray[np.floating]) -> float | None:
    """Return how well a light curve repeats, up to 1; None if it is too short.

    This is the highest autocorrelation after it first fell below `OUT_OF_STEP`, over lags that the curve contains at
    least five times.
    """
    if len(light) < PERIODIC_FRAMES:
        return None
    values = light.astype(np.float64)
    best, fell = 0.0, False
    for lag in range(1, len(values) // PERIODIC_BEATS + 1):
        first, second = values[:-lag] - values[:-lag].mean(), values[lag:] - values[lag:].mean()
        alike = float(first @ second) / max(float(np.sqrt((first @ first) * (second @ second))), 1e-9)
        fell = fell or alike < OUT_OF_STEP
        best = max(best, alike if fell else 0.0)
    return best


def _blinks(before: tuple[_Light, ...], light: _Light, rise: Grid) -> float:
    """Return how many lights `before` form a regular series that ends with `light`, weighted by their significance."""
    starts = [earlier.start for earlier in before if _alike(earlier, light, rise)] + [light.start]
    gaps = np.diff(starts)[::-1]
    if not len(gaps):
        return 0.0
    # Only the last gaps count: lights long before need not match.
    shortest = float(gaps[:LEARNT_BLINKS].min())
    tolerance = max(SAME_RHYTHM * shortest, light.within)
    least, most, count = 0.0, math.inf, 0
    for gap in gaps:
        times = round(gap / shortest)
        if not 1 <= times <= PERIODS_IN_A_GAP:
            break
        # One period has to explain all gaps. Frames of a true period deviate by less than a frame.
        least, most = max(least, (gap - tolerance) / times), min(most, (gap + tolerance) / times)
        if most - least < 1e-6:
            break
        count += 1
    # The first gap only sets the period: two lights are not a rhythm.
    return count * _worth(2 * tolerance / shortest) if count >= 2 else 0.0


def _worth(by_chance: float) -> float:
    """Return the weight 0..1 of a matching blink, if a share `by_chance` of all lights would match."""
    return min(1.0, math.log(min(1.0, by_chance)) / math.log(BY_CHANCE))


def _alike(earlier: _Light, now: _Light, rise: Grid) -> bool:
    """Return whether `now`, whose blocks rise by `rise`, has the place and strength of `earlier`."""
    stronger = max(earlier.strength, now.strength)
    if abs(earlier.strength - now.strength) > SAME_STRENGTH * stronger:
        return False
    return float(rise[earlier.mask & now.mask].sum()) >= SAME_PLACE * now.strength


def _glow_share(candidate: Candidate) -> float:
    """Return the share of the blocks whose rise is a tenth of the highest or more."""
    rise = cv2.blur(candidate.peak_map - candidate.background, (3, 3))
    return float(np.mean(rise > np.float32(0.1) * rise.max()))
