"""Memory of earlier lights of one camera: lamps that keep time, and clutter, which seldom comes singly."""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid, Mask
from stream import load_opencv

cv2 = load_opencv()

# A lamp stays where it is, and noise moves only the faint edge of what it lights, of small lights half of the blocks:
# so much of the light must fall where the other was lit. Strokes come from all over a storm.
SAME_PLACE = 0.85
# A lamp is as bright each time, but for noise and mains; strokes of one storm differ by a factor of two and more.
SAME_STRENGTH = 0.2
# Relays and thermal flashers keep their period to some hundredths, electronics better.
SAME_RHYTHM = 0.025
# A blink or two may go unseen (something passes, a flash outshines it); with more left out, any gap would fit.
PERIODS_IN_A_GAP = 3
# A gap that one light in ten would keep by chance counts in full, a likelier one for less: a frame tells when a light
# came on to within its duration only, and seen so coarsely much is in time that is not.
BY_CHANCE = 0.1
# Enough for what is seen coarsely: five blinks' worth of a lamp of one second at five frames a second.
MOST_LIGHTS = 20
# So many blinks in time are a machine: of the flashes of a storm not one in a thousand has as many behind it by chance.
LEARNT_BLINKS = 5
# So is a light curve that repeats itself so well: strokes come at intervals that differ by their own size.
LEARNT_REGULARITY = 0.9
# A lamp is forgotten after some minutes: lamps are switched off, and then its level only hides flashes.
FORGET_SECONDS = 300.0
# The next blink may be as much brighter as lights alike may differ, and some noise is on top.
MARGIN = 1.3
# Fewer frames, a second of most cameras, repeat themselves by chance.
PERIODIC_FRAMES = 24
# Beats of which a curve holds fewer may be chance as well: of strokes some three are often evenly spaced.
PERIODIC_BEATS = 5
# What repeats itself is out of step with itself in between; what only fades is like itself a little later.
OUT_OF_STEP = 0.2
# More than a rolling shutter can part: it shows one stroke in two frames at most.
ROAMS = 2.0
# A tenth of the light of its brightest place reaches less of the frame than this: nothing about it glows. An insect
# before the lens, its streak included, covers some hundredths; a stroke lights its cloud, which is larger.
ALONE = 0.09
# Insects stay about a lamp, and traffic about a road, for longer than this.
CLUTTER_MEMORY_SECONDS = 60.0

Record = TypeVar("Record")


class RecentLights(Generic[Record]):
    """What is remembered of the last lights of one camera, a record each, oldest first.

    Records are replaced as a whole, so that threads may read while one adds.
    """

    def __init__(self, *, seconds: float = math.inf, most: int | None = None) -> None:
        """Remember `most` lights of the last `seconds`."""
        self._seconds = seconds
        self._most = most
        self._records: tuple[tuple[float, Record], ...] = ()

    def before(self, start_seconds: float) -> tuple[Record, ...]:
        """Return the records of lights that a light of `start_seconds` follows."""
        return tuple(record for _, record in self._recent(start_seconds))

    def add(self, start_seconds: float, record: Record) -> None:
        """Remember a light; what is too old for it, or later, is forgotten."""
        kept = (*self._recent(start_seconds), (start_seconds, record))
        self._records = kept if self._most is None else kept[-self._most :]

    def forget(self) -> None:
        """Forget all lights: the camera may look elsewhere now."""
        self._records = ()

    def _recent(self, start_seconds: float) -> tuple[tuple[float, Record], ...]:
        # A clock that is behind what is remembered belongs to another recording.
        return tuple(one for one in self._records if 0 <= start_seconds - one[0] <= self._seconds)


@dataclass(frozen=True, slots=True)
class _Light:
    start: float
    within: float
    mask: Mask
    strength: float


class PeriodicLights:
    """Recognises lights of one place, strength and rhythm as a lamp, and learns how far its blocks rise."""

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

    def add(self, start: float, mask: Mask, rise: Grid, regularity: float, *, within: float) -> float:
        """Remember a light that is over, and return how many before it had its place, strength and rhythm.

        Args:
            start: seconds on the source's clock.
            mask: (rows, columns) blocks that lit up.
            rise: (rows, columns) levels above the background.
            regularity: how well its own curve repeats itself, up to 1.
            within: seconds by which `start` may be late: one frame.

        Returns:
            The number of earlier lights; less where time is so coarse that chance keeps it too.
        """
        light = _Light(start, within, mask, float(rise[mask].sum()))
        blinks = _blinks(self._lights.before(start), light, rise)
        self._lights.add(start, light)
        if blinks >= LEARNT_BLINKS or regularity >= LEARNT_REGULARITY:
            level = np.where(mask, np.float32(MARGIN) * rise, np.float32(0)).astype(np.float32)
            self._level = level if self._level is None else np.maximum(self._level, level)
            self._level_seconds = start
        return blinks


class ClutterMemory:
    """Counts the lights of one camera that shone alone or roamed lately: insects, drops and headlights."""

    def __init__(self) -> None:
        self._lights: RecentLights[str] = RecentLights(seconds=CLUTTER_MEMORY_SECONDS)

    def forget(self) -> None:
        """Forget all lights: the camera may look elsewhere now."""
        self._lights.forget()

    def add(self, candidate: Candidate) -> int:
        """Remember a light that is over, and return how many of the last minute before it were clutter."""
        count = len(self._lights.before(candidate.start_seconds))
        if candidate.roaming > ROAMS or _glow_share(candidate) < ALONE:
            self._lights.add(candidate.start_seconds, candidate.id)
        return count


def autocorrelation_peak(light: NDArray[np.floating]) -> float | None:
    """Return how well a light curve repeats itself, up to 1; None where it is too short to tell.

    The highest autocorrelation after it first fell below `OUT_OF_STEP`, over lags of which the curve holds five or
    more.
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
    """Return how many lights `before` form a regular series that ends with `light`, counted by what they prove."""
    starts = [earlier.start for earlier in before if _alike(earlier, light, rise)] + [light.start]
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
    """Return what a blink in time proves, 0..1, where a share of `by_chance` of all lights would seem to be in time."""
    return min(1.0, math.log(min(1.0, by_chance)) / math.log(BY_CHANCE))


def _alike(earlier: _Light, now: _Light, rise: Grid) -> bool:
    """Return whether `now`, whose blocks rise by `rise`, shines where `earlier` did, and as strongly."""
    stronger = max(earlier.strength, now.strength)
    if abs(earlier.strength - now.strength) > SAME_STRENGTH * stronger:
        return False
    return float(rise[earlier.mask & now.mask].sum()) >= SAME_PLACE * now.strength


def _glow_share(candidate: Candidate) -> float:
    """Return the share of the blocks whose rise is a tenth of the highest or more."""
    rise = cv2.blur(candidate.peak_map - candidate.background, (3, 3))
    return float(np.mean(rise > np.float32(0.1) * rise.max()))
