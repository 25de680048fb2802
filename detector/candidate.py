"""Candidates: what the prefilter passes on to a verifier."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.events import Pulse
from stream import Frame


@dataclass(frozen=True, slots=True, eq=False)
class LightCurve:
    """Per-frame course of a candidate, from some frames before its onset to its end; arrays of equal length.

    seconds: frame times on the source's clock.
    rise: mean rise above the background over the blocks lit at any time, levels.
    peak_rise: the highest block's rise, levels.
    lit_fraction: share of blocks lit, 0..1.
    positivity: sum of rises over the sum of all changes of a moment, 0..1, where light was added; 0 elsewhere.
    lit: whether the frame counts as lit.
    overlap: share of the frame's lit blocks that were lit in the frame before too (or theirs in it), 0..1.
    x, y: centre of the light, shares 0..1 of the upright picture.
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
        """`rise` from the first lit frame to the last one: what comes before and after says nothing of the light."""
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
    """

    frames_before: int = 3
    watched_share: float = 1.0
    dark_after: bool | None = None
    cut_off: bool = False
    periodic_repeats: float | None = None
    recent_clutter: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A moment that the prefilter passes on: onset, pulses, where it was lit, and its pictures.

    It comes twice under one id: `open` at once when the onset is sure (what is known then), and again closed, whole.
    background, peak_map: (rows, columns) float32 block luma before the flash and the highest luma of each block in it.
    lit_map: (rows, columns) blocks that lit up at any time.
    before, peak, waning, after: frames of the moment; `waning` is the first lit one after the peak with half its light
    or less, None where there is none; before and after may be missing at the edges of a source.
    clear: the brightest lit frame that is not saturated all over, to show to a person; None where all are.
    quiet: thin copies of frames of the last second before, oldest first: what the scene does by itself.
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
    quiet: tuple[Frame, ...] = ()
    quality: tuple[str, ...] = ()
    context: CandidateContext = CandidateContext()

    @property
    def roaming(self) -> float:
        """Blocks lit at any time over those lit in the largest frame; 1 and more."""
        most = float(self.curve.lit_fraction.max(initial=0.0))
        largest = most * self.context.watched_share * self.lit_map.size
        return float(np.count_nonzero(self.lit_map)) / max(largest, 1.0)
