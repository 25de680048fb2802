"""Candidates: what the prefilter passes on to a verifier."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.events import Pulse
from stream import Frame

SLOW_SECONDS = 0.5
"""If frames are this far apart, most flashes end within one: frames do not show how suddenly a light came."""


@dataclass(frozen=True, slots=True, eq=False)
class LightCurve:
    """The light of a candidate, frame by frame, from its onset to its end; arrays of equal length (frames,).

    Attributes:
        seconds: frame times on the source's clock.
        rise: mean rise above the background over the blocks lit at any time, levels.
        peak_rise: rise of the highest block, levels.
        lit_fraction: share of the watched blocks that are lit, 0..1.
        positivity: sum of rises over the sum of all changes, 0..1, where light was added; 0 elsewhere.
        lit: whether the frame counts as lit.
        overlap: share of the smaller core of this and the previous frame that both have in common, 0..1.
        x: centre of the light, share 0..1 of the upright frame's width.
        y: centre of the light, share 0..1 of its height.
    """

    seconds: NDArray[np.float64]
    rise: NDArray[np.float32]
    peak_rise: NDArray[np.float32]
    lit_fraction: NDArray[np.float32]
    positivity: NDArray[np.float32]
    lit: NDArray[np.bool_]
    overlap: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    @property
    def rise_while_lit(self) -> NDArray[np.float32]:
        """`rise` from the first lit frame to the last one."""
        lit = np.flatnonzero(self.lit)
        return self.rise[lit[0] : lit[-1] + 1] if len(lit) else self.rise[:0]


@dataclass(frozen=True, slots=True)
class CandidateContext:
    """Facts of the prefilter about a candidate, beside its frames.

    Attributes:
        frames_before: frames that could be compared with its onset; 3 or more except right after a new epoch.
        watched_share: share of the frame that is watched, 0..1.
        dark_after: whether `after` shows the scene without the light; None if unknown.
        cut_off: whether the source or its epoch ended first.
        periodic_repeats: earlier lights of the same place, strength and rhythm, less where frames are too far apart to
            tell; None where it was cut off.
        recent_clutter: lights of the last minute that had no glow or moved about.
        seen_before: share 0..1 of the rise that one moment of the last half minute showed already; None where less than
            three seconds are known.
        steady_from: seconds since when remaining light was taken for steady and cut off; None if there was none.
    """

    frames_before: int = 3
    watched_share: float = 1.0
    dark_after: bool | None = None
    cut_off: bool = False
    periodic_repeats: float | None = None
    recent_clutter: int = 0
    seen_before: float | None = None
    steady_from: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A possible flash: its times, the blocks that it lit, its light curve and frames.

    It comes twice under one id: open once its onset is certain, with the facts so far, and closed at its end.
    Times are seconds on the source's clock; shares are 0..1 of the upright frame, or of its watched part where said.

    Attributes:
        id: name, unique over cameras and runs.
        camera: name of the camera or source.
        open: whether the candidate continues.
        start_seconds: time of the first lit frame.
        peak_seconds: time of the frame with the most light.
        end_seconds: time of the last lit frame plus its duration.
        pulses: lit runs, split at deep valleys.
        peak_rise_levels: highest rise of a block in the frame with the most light, levels.
        lit_fraction: largest share of the watched blocks that were lit in one frame.
        box: (left, top, right, bottom) of the blocks that were ever lit, shares.
        centroid: (x, y) of the light in the frame with the most light, shares.
        curve: the light, frame by frame.
        background: (rows, columns) block luma before the flash, levels.
        peak_map: (rows, columns) highest luma of each block that was lit, levels; `background` elsewhere.
        lit_map: (rows, columns) blocks that were ever lit.
        onset: the first lit frame.
        peak: the frame with the most light of the candidate's own span.
        rest: the brightest frame after that span, where light goes on that outshines `peak`: it was taken for steady
            and cut away, but tells what shines there; None where there is none.
        before: a frame from right before the onset; None at the edge of a source.
        clear: the lit frame with the most structure, to show to a person, if that is clearly more than in `peak`.
        waning: the first lit frame after the peak with half its light or less; None if there is none.
        after: the frame soon after the light went out, or the last one if it did not; None at the edge of a source.
        structure: how far thin bright lines stand out in `clear`, or else in `peak`, levels.
        closeup: the lit region of the peak in the frame's own resolution; made for a model if it is small.
        quiet: thin copies of frames of the last second before, oldest first: the scene's usual changes.
        quality: words for possible damage of its frames, as in `stream.Frame`.
        context: further facts of the prefilter.
    """

    id: str
    camera: str
    open: bool
    start_seconds: float
    peak_seconds: float
    end_seconds: float
    pulses: tuple[Pulse, ...]
    peak_rise_levels: float
    lit_fraction: float
    box: tuple[float, float, float, float]
    centroid: tuple[float, float]
    curve: LightCurve
    background: NDArray[np.float32]
    peak_map: NDArray[np.float32]
    lit_map: NDArray[np.bool_]
    onset: Frame
    peak: Frame
    before: Frame | None = None
    clear: Frame | None = None
    waning: Frame | None = None
    after: Frame | None = None
    rest: Frame | None = None
    structure: float = 0.0
    closeup: Frame | None = None
    quiet: tuple[Frame, ...] = ()
    quality: tuple[str, ...] = ()
    context: CandidateContext = CandidateContext()

    @property
    def brightest(self) -> Frame:
        """The frame with the most light, whether in its span or after it."""
        return self.peak if self.rest is None else self.rest

    @property
    def frame_interval(self) -> float:
        """Seconds from the previous frame to the onset, or the onset's own duration."""
        before = self.before
        return self.onset.duration if before is None else max(self.onset.duration, self.onset.seconds - before.seconds)

    @property
    def roaming(self) -> float:
        """Blocks lit at any time over those lit in the frame with the most of them; 1 and more."""
        most = float(self.curve.lit_fraction.max(initial=0.0))
        largest = most * self.context.watched_share * self.lit_map.size
        return float(np.count_nonzero(self.lit_map)) / max(largest, 1.0)
