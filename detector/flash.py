"""The words as types: Pulse, Candidate, Verdict, Flash; the event's JSON and its JSON Schema."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream import Clock, Frame, Message

FLASH_TYPE = "lightning.flash.v1"
FLASH_TOPIC = "ev.flash."  # the camera's name follows
FLASH_SCHEMA = "urn:lightning-detector:flash:1"

State = Literal["detected", "confirmed", "rejected", "unverified"]


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One contiguous lit run as the sensor sees it; offset from the flash's start, rise in levels."""

    offset_seconds: float
    duration_seconds: float
    rise_levels: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier says of a candidate: lightning (true), not lightning (false), or null = unverified, and why.

    `evidence` names each physical reason with its number; `reason` says in words why there is no answer, or what the
    photometric verifier held against a light that it rejected.
    """

    lightning: bool | None
    probability: float | None
    verifier: str
    evidence: dict[str, float] = {}
    model: str | None = None
    model_revision: str | None = None
    prompt_version: str | None = None
    seconds: float | None = None
    reason: str | None = None

    @property
    def state(self) -> State:
        """The state of a flash with this verdict."""
        if self.lightning is None:
            return "unverified"
        return "confirmed" if self.lightning else "rejected"


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of the pictures made of a flash, relative to the run's folder; null where none was made."""

    still: str | None = None
    clip: str | None = None


class Flash(msgspec.Struct, frozen=True, kw_only=True):
    """The whole current state of one flash; consumers keep the last revision by `id`.

    `file` is the recording: its path in the folder that was replayed, its name if it was given by itself, or, where two
    files of a run would be called the same, the path of each as it was given; null for a live camera.
    Seconds are on the source's own clock; levels are of luma, 0 = black, 255 = white (what a camera records beyond its
    own black and white counts too, so that a rise may reach 297); `box` (left, top, right, bottom) and `centroid`
    (x, y) are shares 0..1 of the upright picture. `end_seconds` is the last lit frame plus one frame, and null while
    the flash may still run, or where a killed run never saw its end.
    """

    id: str
    camera: str
    file: str | None
    state: State
    revision: int
    start_seconds: float
    peak_seconds: float
    end_seconds: float | None
    duration_seconds: float | None
    start_utc: str | None
    clock: Clock
    utc_error_ms: float | None
    quality: tuple[str, ...]
    pulses: tuple[Pulse, ...]
    peak_rise_levels: float
    lit_fraction: float
    box: tuple[float, float, float, float]
    centroid: tuple[float, float]
    verdict: Verdict | None
    media: Media
    latency_ms: float
    software: str


FlashMessage = Message[Flash]


def event_schema() -> dict[str, Any]:
    """The published JSON Schema (2020-12) of one event of the feed."""
    return {"$id": FLASH_SCHEMA} | msgspec.json.schema(FlashMessage)


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
    notes: what the prefilter knows beside: `dark_after` 1 when `after` shows the scene without the light, 0 when the
    light was still there; `cut_off` 1 when the source or what can be compared ended first; `blinks`, how many earlier
    lights of this place, strength and rhythm there were, less where frames are too far apart to tell; `company`, how
    many lights of the last minute shone alone or roamed; `watched_share`, how much of the picture is watched, 0..1;
    `pictures_before`, how many pictures it was compared with at its onset, 3 and more but right after an edge.
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
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def roaming(self) -> float:
        """Blocks lit at any time over those lit in the largest frame; 1 and more."""
        most = float(self.curve.lit_fraction.max(initial=0.0))
        largest = most * self.notes.get("watched_share", 1.0) * self.lit_map.size
        return float(np.count_nonzero(self.lit_map)) / max(largest, 1.0)
