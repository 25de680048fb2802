"""Candidates: what the prefilter passes on to a verifier."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.events import Pulse
from stream import Frame

SLOW_SECONDS = 0.5
"""Where frames are as far apart, most flashes are over within one: how suddenly a light came cannot be seen."""


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
        overlap: share of the frame's brightest blocks that were so in the frame before too (or theirs in it), 0..1.
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
    """What the prefilter knows of a candidate beside its frames.

    Attributes:
        frames_before: frames that could be compared with its onset; 3 or more except right after an edge.
        watched_share: share of the frame that is watched, 0..1.
        dark_after: whether `after` shows the scene without the light; None where that is not known.
        cut_off: whether the source, or what can be compared, ended first.
        periodic_repeats: earlier lights of the same place, strength and rhythm, less where frames are too far apart to
            tell; None where it was cut off.
        recent_clutter: lights of the last minute that shone alone or roamed.
        seen_before: share 0..1 of the rise that one moment of the last half minute showed already; None where less than
            three seconds are known.
        steady_from: seconds since when light that still shone was taken for steady and cut away; None where none was.
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
    """What may be a flash: its times, the blocks it lit, its light curve and frames.

    It comes twice under one id: open when its onset is sure, with what is known then, and closed when it is over.
    Times are seconds on the source's clock; shares are 0..1 of the upright frame, or of its watched part where said.

    Attributes:
        id: name, unique over cameras and runs.
        camera: name of the camera or source.
        open: whether the candidate goes on.
        start_seconds: time of the first lit frame.
        peak_seconds: time of the frame with the most light.
        end_seconds: time of the last lit frame plus its duration.
        pulses: lit runs, parted at deep valleys.
        peak_rise_levels: highest rise of a block in the frame with the most light, levels.
        lit_fraction: largest share of the watched blocks that were lit in one frame.
        box: (left, top, right, bottom) of the blocks that lit up at any time, shares.
        centroid: (x, y) of the light in the frame with the most light, shares.
        curve: the light, frame by frame.
        background: (rows, columns) block luma before the flash, levels.
        peak_map: (rows, columns) highest luma of each block that lit up, levels; `background` elsewhere.
        lit_map: (rows, columns) blocks that lit up at any time.
        onset: the first lit frame.
        peak: the frame with the most light.
        before: a frame from right before the onset; None at the edge of a source.
        clear: the lit frame with the most structure, to show to a person, where that is clearly more than `peak` shows.
        waning: the first lit frame after the peak with half its light or less; None where there is none.
        after: the frame soon after the light went out, or the last one where it did not; None at the edge of a source.
        closeup: the lit region of the peak in the frame's own resolution; made for a model where it is small.
        quiet: thin copies of frames of the last second before, oldest first: what the scene does by itself.
        quality: words for what may be wrong with its frames, as in `stream.Frame`.
        context: what the prefilter knows beside these.
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
    closeup: Frame | None = None
    quiet: tuple[Frame, ...] = ()
    quality: tuple[str, ...] = ()
    context: CandidateContext = CandidateContext()

    @property
    def frame_interval(self) -> float:
        """Seconds from the frame before its onset to the onset, or the onset's own duration."""
        before = self.before
        return self.onset.duration if before is None else max(self.onset.duration, self.onset.seconds - before.seconds)

    @property
    def roaming(self) -> float:
        """Blocks lit at any time over those lit in the frame with the most of them; 1 and more."""
        most = float(self.curve.lit_fraction.max(initial=0.0))
        largest = most * self.context.watched_share * self.lit_map.size
        return float(np.count_nonzero(self.lit_map)) / max(largest, 1.0)
