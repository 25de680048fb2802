"""Truth: from the light that flashes add to each frame to labels of flashes, pulses and light too faint to count."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = (64, 36)
"""Blocks (columns, rows) on which light is measured."""
GAP_SECONDS = 0.5
"""Pulses closer than this are one flash."""
FLOOR_LEVELS = 3.0
"""A block is lit if a flash raises it by at least this many levels (of 0..255) ..."""
FLOOR_NOISE = 3.0
"""... and by at least this many times its own noise ..."""
LIT_SHARE = 0.005
"""... and a frame is lit if this share of its blocks is: about what a person labelling real clips can see."""
FAINT_LEVELS = 0.5
"""Below the floor but above this, light is neither hit nor false alarm: it goes to `ignore`."""
NOISE_FLOOR_LEVELS = 0.29
"""Least noise of a block: the rounding error of 8-bit levels (1 / sqrt 12) does not average out."""
STRENGTH_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class FrameLight:
    """The light that flashes add to one frame.

    Attributes:
        strength: rise in units of the block's noise that at least 1 % of the blocks reach.
        peak_strength: the best block's rise in units of noise.
        rise_levels: the best block's rise in levels.
        area: share of the blocks that are lit.
    """

    strength: float
    peak_strength: float
    rise_levels: float
    area: float

    @property
    def lit(self) -> bool:
        """Whether a person would call this frame lit."""
        return self.area >= LIT_SHARE

    @property
    def faint(self) -> bool:
        """Whether there is any light."""
        return self.rise_levels >= FAINT_LEVELS


DARK = FrameLight(0.0, 0.0, 0.0, 0.0)


def frame_light(rise: NDArray[np.float32], noise: NDArray[np.float32]) -> FrameLight:
    """Return the light of a frame from the (rows, columns) levels of `rise` and `noise` of each block."""
    noise = np.maximum(noise, NOISE_FLOOR_LEVELS)
    ratio = rise / noise
    lit = (rise >= FLOOR_LEVELS) & (ratio >= FLOOR_NOISE)
    rank = max(1, round(STRENGTH_SHARE * ratio.size))
    strength = float(np.partition(ratio.ravel(), -rank)[-rank])
    return FrameLight(max(0.0, strength), float(ratio.max()), float(rise.max()), float(lit.mean()))


@dataclass(frozen=True, slots=True)
class FlashTruth:
    """One flash, visible or too faint to count: its times, its kind, and its strength."""

    start: float
    end: float
    kinds: tuple[str, ...]
    visible: bool
    strength: float
    peak_strength: float
    rise_levels: float
    area: float


@dataclass(frozen=True, slots=True)
class Labels:
    """Truth of one clip in the form of labels.json, in seconds of presentation time; `details` adds the strengths."""

    kind: str
    group: str
    flashes: list[list[float]]
    pulses: list[list[float]]
    ignore: list[list[float]]
    notes: str
    details: list[FlashTruth]

    def as_json(self) -> dict[str, Any]:
        """Return a table for json.dump."""
        return asdict(self)


Span = tuple[int, int]
"""First and last frame number of a run."""


class Timeline:
    """Join lit frames to pulses and flashes on the clip's own time stamps."""

    def __init__(self, times: NDArray[np.float64], frame_seconds: float, light: dict[int, FrameLight]) -> None:
        self._times = times
        self._frame = frame_seconds
        self._light = light

    def seconds(self, span: Span) -> list[float]:
        """Return the start of the first frame and the end of the last one."""
        return [round(float(self._times[span[0]]), 6), round(float(self._times[span[1]]) + self._frame, 6)]

    def runs(self, *, lit: bool) -> list[Span]:
        """Return runs of neighbouring frames that are lit (or, if not `lit`, at least faintly so)."""
        numbers = sorted(number for number, light in self._light.items() if (light.lit if lit else light.faint))
        spans: list[Span] = []
        for number in numbers:
            if spans and spans[-1][1] == number - 1:
                spans[-1] = (spans[-1][0], number)
            else:
                spans.append((number, number))
        return spans

    def joined(self, spans: list[Span]) -> list[Span]:
        """Join runs over gaps shorter than `GAP_SECONDS`; light too faint to count divides a gap in two.

        A detector that sees the faint pulse between two others reports one flash, one that does not reports two: both
        are right, and a second report of one flash is no false alarm, but one report of two flashes would be a miss.

        Returns:
            the flashes.
        """
        flashes: list[Span] = []
        for span in spans:
            if flashes and self._darkest(flashes[-1][1], span[0]) < GAP_SECONDS - 1e-6:
                flashes[-1] = (flashes[-1][0], span[1])
            else:
                flashes.append(span)
        return flashes

    def _darkest(self, last: int, first: int) -> float:
        """Return the longest time without any light between two frames, in seconds."""
        faint = [number for number in range(last + 1, first) if self._light.get(number, DARK).faint]
        stops = pairwise([last, *faint, first])
        return max(float(self._times[after] - self._times[before]) - self._frame for before, after in stops)

    def outside(self, spans: list[Span], flashes: list[Span]) -> list[Span]:
        """Return the parts of `spans` outside all flashes."""
        inside = {number for first, last in flashes for number in range(first, last + 1)}
        parts: list[Span] = []
        for first, last in spans:
            for number in range(first, last + 1):
                if number in inside:
                    continue
                if parts and parts[-1][1] == number - 1:
                    parts[-1] = (parts[-1][0], number)
                else:
                    parts.append((number, number))
        return parts

    def peak(self, span: Span) -> FrameLight:
        """Return the highest of each value over the frames of `span`."""
        lights = [self._light.get(number, DARK) for number in range(span[0], span[1] + 1)]
        return FrameLight(
            max(light.strength for light in lights),
            max(light.peak_strength for light in lights),
            max(light.rise_levels for light in lights),
            max(light.area for light in lights),
        )
