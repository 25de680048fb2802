"""The course of one light, frame by frame, and the pulses in it."""

from dataclasses import dataclass

import numpy as np

from detector.candidate import LightCurve
from detector.events import Pulse

# Within one lit run a valley parts two pulses when the light fell below this share of the weaker of the two peaks:
# a re-strike is a pulse of its own long before the glow of the one before is gone.
VALLEY_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """What one frame adds to a light curve; `light` is the sum of the rises of the lit blocks, levels times blocks."""

    seconds: float
    duration: float
    light: float
    peak_rise: float
    blocks: int
    positivity: float
    centroid: tuple[float, float]
    lit: bool
    overlap: float


def curve_of(samples: list[Sample], size: int, watched: int) -> LightCurve:
    """The samples as arrays; `size`: blocks that lit up at any time, `watched`: blocks that count."""
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
    """Lit runs, parted again at deep valleys."""
    pulses = []
    for run in _lit_runs(samples):
        for part in _parted(run):
            last = part[-1]
            pulses.append(
                Pulse(
                    offset_seconds=round(part[0].seconds - start, 6),
                    duration_seconds=round(last.seconds + last.duration - part[0].seconds, 6),
                    rise_levels=round(max(s.light for s in part) / size, 2),
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
    """`run` parted before each rise out of a valley deeper than VALLEY_SHARE of the peaks on both sides."""
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
