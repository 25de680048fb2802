"""The light curve of one candidate: its samples, pulses, and whether it reached a plateau."""

import copy
import math
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from detector.candidate import LightCurve
from detector.events import Pulse

# Within one lit run a valley separates two pulses if the light fell below this share of the weaker of the two peaks: a
# re-strike is a separate pulse long before the glow of the previous one is gone.
VALLEY_SHARE = 0.5
# The last 1 % of a pulse's glow does not count as lit: drift of clouds or exposure is often as large.
GLOW_SHARE = 0.01
# Light that keeps its level for this long, within this share of its peak, is a plateau (a lamp, an exposure step, a
# cut): continuing current of a flash flickers and lasts 0.1-0.5 s.
STEADY_SECONDS = 1.0
STEADY_SHARE = 0.12
# Light of which so much is left this long after the last sudden rise stays, too, steady or not (headlights, an opening
# view): the glow of a pulse halves within tenths of a second. Slow motion stretches it, but it always decays.
STAYING_SHARE = 0.3
# Pulses jump, and between them the light falls. Light that grows for this long, by this factor, without doubling at
# once or falling by a fifth, is not a flash: a cloud in a time-lapse, an opening view, exposure.
GROWING_SECONDS = 0.6
GROWING_FALL = 0.8
GROWING_TIMES = 3.0
GROWING_JUMP = 2.0
# A pulse takes up to some hundredths of a second to rise: at high rates that is several frames.
RISE_SECONDS = 0.03
# A steady remainder below this share of a pulse is the scene, not light: the scene has drifted since the baseline was
# measured.
FAINT_SHARE = 0.1
FAINT_STEADY_SHARE = 0.03
# A plateau began where the light was less than this share of it.
CAME_SHARE = 0.25
# The eye sums light over about a tenth of a second (Bloch's law). Light below this share of the flash's brightest tenth
# of a second does not extend the flash: it is a codec's ghost of the flash, or flicker of black.
SUMMED_SECONDS = 0.1
JOINING_SHARE = 0.03
# Unless one place of it is bright: a ghost is faint everywhere, a distant cell is small and has contrast.
JOINING_RISE = 0.1


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one frame in a light curve.

    Attributes:
        seconds: time of the frame on the source's clock.
        duration: duration of the frame in seconds.
        light: sum of the rises of the lit blocks, levels times blocks.
        peak_rise: highest rise of a block, levels.
        blocks: number of lit blocks.
        positivity: share of rises in all changes where light was added, 0..1; 0 elsewhere.
        centroid: (x, y) of the light, shares 0..1 of the upright frame.
        lit: whether the frame counts as lit.
        overlap: share of the smaller core of this and the previous frame that both have in common, 0..1.
        core: (left, top, right, bottom) of its core, shares 0..1; None if it was not measured.
        core_centroid: (x, y) of the light in its core, shares 0..1.
    """

    seconds: float
    duration: float
    light: float
    peak_rise: float
    blocks: int
    positivity: float
    centroid: tuple[float, float]
    lit: bool
    overlap: float
    core: Box | None = None
    core_centroid: tuple[float, float] | None = None


class LightTrace:
    """The samples of an open candidate, and the peaks that they are compared with.

    Attributes:
        samples: one for each frame since the onset.
        peak_light: most light of a lit frame.
        pulse_light: most light since it last lit up from dark.
        dark_from: seconds of the first dark frame since it was last lit; None while it is lit.
        over_from: as `dark_from`, but runs that are too weak to extend the flash count as dark.
        run_from: seconds of the first frame of the newest run; a short dark flicker does not separate two runs.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.peak_light = 0.0
        self.pulse_light = 0.0
        self.dark_from: float | None = None
        self.over_from: float | None = None
        self.run_from = 0.0
        self._brightness_most = 0.0
        self._rise_most = 0.0

    def copy(self) -> "LightTrace":
        """Return a trace that goes on by itself."""
        made = copy.copy(self)
        made.samples = list(self.samples)
        return made

    @property
    def light(self) -> float:
        """Light of the last frame, levels times blocks; 0 while dark."""
        return self.samples[-1].light if self.samples and self.samples[-1].lit else 0.0

    @property
    def went_dark(self) -> bool:
        """Whether the light has gone out, except for a faint steady remainder."""
        return self.dark_from is not None or self.light < FAINT_SHARE * self.peak_light

    def glows(self, light: float, *, joins: bool) -> bool:
        """Return whether a frame with this `light` is lit.

        A dark flash is lit again only by a sudden rise; a lit one stays lit down to a faint glow.

        Args:
            light: light of the frame, levels times blocks.
            joins: whether light of this flash rose suddenly in it.
        """
        was_lit = bool(self.samples) and self.samples[-1].lit
        if joins and not was_lit:
            self.pulse_light = 0.0
        self.pulse_light = max(self.pulse_light, light)
        return (was_lit or joins) and light >= GLOW_SHARE * self.pulse_light

    def add(self, sample: Sample) -> None:
        """Append the sample of the next frame."""
        if sample.lit and not (self.samples and self.flickers(sample.seconds)):
            self.run_from = sample.seconds
        self.samples.append(sample)
        if not sample.lit:
            self.dark_from = sample.seconds if self.dark_from is None else self.dark_from
            self.over_from = sample.seconds if self.over_from is None else self.over_from
            return
        self.dark_from = None
        brightness = self._brightness()
        # One frame is enough for a run to extend the flash: pulses begin weak.
        if brightness >= JOINING_SHARE * self._brightness_most or sample.peak_rise >= JOINING_RISE * self._rise_most:
            self.over_from = None
        self.peak_light = max(self.peak_light, sample.light)
        self._brightness_most = max(self._brightness_most, brightness)
        self._rise_most = max(self._rise_most, sample.peak_rise)

    def flickers(self, seconds: float) -> bool:
        """Return whether it is lit at `seconds`, or dark for too short a time to be visible."""
        return self.dark_from is None or seconds - self.dark_from < SUMMED_SECONDS - 1e-6

    def _brightness(self) -> float:
        """Return the light of the newest lit run as the eye sums it, levels times blocks times seconds."""
        earliest = self.samples[-1].seconds - SUMMED_SECONDS + 1e-6
        lately = takewhile(lambda sample: sample.lit and sample.seconds > earliest, reversed(self.samples))
        return sum(sample.light * min(sample.duration, SUMMED_SECONDS) for sample in lately)


@dataclass(slots=True)
class LightSpan:
    """A stretch of frames and the range of the light in it.

    Attributes:
        since: seconds of its first frame.
        low: least light, levels times blocks.
        high: most light, levels times blocks.
    """

    since: float
    low: float = math.inf
    high: float = -math.inf

    @property
    def spread(self) -> float:
        """Difference between the most and the least light."""
        return self.high - self.low

    def add(self, sample: Sample) -> None:
        """Add the next frame."""
        self.low, self.high = min(self.low, sample.light), max(self.high, sample.light)

    def restart(self, sample: Sample) -> None:
        """Start again with this frame."""
        self.since, self.low, self.high = sample.seconds, sample.light, sample.light


class PlateauDetector:
    """Tell since when the light of a candidate is a plateau: a lamp, an exposure step or a cut, not a flash."""

    def __init__(self, trace: LightTrace, onset_seconds: float) -> None:
        """Watch `trace`, whose onset is at `onset_seconds`."""
        self._trace = trace
        self._steady = LightSpan(onset_seconds)
        self._faint = LightSpan(onset_seconds)
        self._growth = LightSpan(onset_seconds)
        self._last_rise = onset_seconds

    def copy(self, trace: LightTrace) -> "PlateauDetector":
        """Return a detector of `trace`, a copy of its own one, that goes on by itself."""
        made = copy.copy(self)
        made._trace = trace  # noqa: SLF001
        made._steady, made._faint, made._growth = map(copy.copy, (self._steady, self._faint, self._growth))  # noqa: SLF001
        return made

    def update(self, *, joins: bool) -> None:
        """Add the newest sample of the trace.

        Args:
            joins: whether light of this flash rose suddenly in it.
        """
        trace, sample = self._trace, self._trace.samples[-1]
        self._steady.add(sample)
        # Beside a white-out every pulse is within that share: light that just rose suddenly is not steady.
        if joins or not sample.lit or self._steady.spread > STEADY_SHARE * trace.peak_light:
            self._steady.restart(sample)
        if joins or sample.light < STAYING_SHARE * trace.pulse_light:
            self._last_rise = sample.seconds
        self._faint.add(sample)
        bright = self._faint.high > FAINT_SHARE * trace.pulse_light
        # A glow falls and a pulse rises suddenly; slow rises come from the scene or the codec.
        changed = max(self._faint.high - sample.light, sample.light - self._faint.low if joins else 0.0)
        if bright or changed > FAINT_STEADY_SHARE * trace.pulse_light:
            self._faint.restart(sample)
        earliest = sample.seconds - RISE_SECONDS + 1e-6
        earlier = next((s.light for s in reversed(trace.samples) if s.seconds <= earliest), 0.0)
        if sample.light < GROWING_FALL * self._growth.high or sample.light > GROWING_JUMP * earlier:
            self._growth.restart(sample)
        self._growth.add(sample)

    @property
    def faint_since(self) -> float | None:
        """Seconds since when the remaining light is faint and does not fall; None while there is more."""
        trace = self._trace
        return self._faint.since if trace.light < FAINT_SHARE * trace.pulse_light else None

    @property
    def since(self) -> float | None:
        """Seconds since when the light has been a plateau; None while it is not."""
        trace, growth = self._trace, self._growth
        if not trace.samples:
            return None
        now = trace.samples[-1].seconds
        if now - growth.since >= GROWING_SECONDS and growth.high >= GROWING_TIMES * growth.low > 0:
            return growth.since
        stays = [when for when in (self._steady.since, self._last_rise) if now - when >= STEADY_SECONDS]
        return min(stays) if stays and not self._is_decaying() else None

    def _is_decaying(self) -> bool:
        """Return whether the light fell in the last `STEADY_SECONDS` by more than a steady light, and never rose."""
        samples = self._trace.samples
        now = samples[-1]
        lately = takewhile(lambda sample: now.seconds - sample.seconds <= STEADY_SECONDS + 1e-6, reversed(samples))
        lights = [sample.light for sample in lately]
        then = lights[-1]
        return now.light <= (1 - STEADY_SHARE) * then and max(lights) <= then / GROWING_FALL


def trim_plateau(samples: list[Sample], since: float | None) -> list[Sample]:
    """Mark samples from the start of a plateau as unlit; a steady light is not part of the flash.

    Args:
        samples: the light curve.
        since: seconds at which the plateau began, or None.

    Returns:
        the light curve, with the plateau unlit.
    """
    if since is None:
        return samples
    first = next(n for n, sample in enumerate(samples) if sample.seconds >= since)
    level = samples[first].light
    while first > 0 and CAME_SHARE * level <= samples[first - 1].light <= level / GROWING_FALL:
        first -= 1
    return [replace(sample, lit=sample.lit and n < max(first, 1)) for n, sample in enumerate(samples)]


def curve_of(samples: list[Sample], size: int, watched: int) -> LightCurve:
    """Return the samples as arrays.

    Args:
        samples: the light curve.
        size: number of blocks that were lit at any time.
        watched: number of watched blocks.
    """
    return LightCurve(
        seconds=np.array([s.seconds for s in samples], np.float64),
        rise=np.array([s.light / size for s in samples], np.float32),
        peak_rise=np.array([s.peak_rise for s in samples], np.float32),
        lit_fraction=np.array([s.blocks / watched for s in samples], np.float32),
        positivity=np.array([s.positivity for s in samples], np.float32),
        lit=np.array([s.lit for s in samples], np.bool_),
        overlap=np.array([s.overlap for s in samples], np.float32),
        x=np.array([s.centroid[0] for s in samples], np.float32),
        y=np.array([s.centroid[1] for s in samples], np.float32),
    )


def pulses_of(samples: list[Sample], size: int, start: float) -> tuple[Pulse, ...]:
    """Return the lit runs, split at deep valleys.

    Args:
        samples: the light curve.
        size: number of blocks that were lit at any time.
        start: seconds from which offsets are counted.
    """
    pulses = []
    for run in _lit_runs(samples):
        for part in _parted(run):
            last, brightest = part[-1], max(part, key=lambda sample: sample.light)
            pulses.append(
                Pulse(
                    offset_seconds=round(part[0].seconds - start, 6),
                    duration_seconds=round(last.seconds + last.duration - part[0].seconds, 6),
                    rise_levels=round(brightest.light / size, 2),
                    box=brightest.core,
                    centroid=brightest.core_centroid,
                )
            )
    return tuple(pulses)


def _lit_runs(samples: list[Sample]) -> list[list[Sample]]:
    runs: list[list[Sample]] = []
    lit = False
    for sample in samples:
        if sample.lit and not lit:
            runs.append([])
        if sample.lit:
            runs[-1].append(sample)
        lit = sample.lit
    return runs


def _parted(run: list[Sample]) -> list[list[Sample]]:
    """Return `run` split before each rise out of a valley deeper than `VALLEY_SHARE` of the peaks on both sides."""
    parts = [[run[0]]]
    peak = valley = run[0].light
    for sample in run[1:]:
        valley = min(valley, sample.light)
        if valley < VALLEY_SHARE * peak and sample.light > valley / VALLEY_SHARE:
            parts.append([])
            peak = valley = sample.light
        elif sample.light > peak:
            peak = valley = sample.light
        parts[-1].append(sample)
    return parts
