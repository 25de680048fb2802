"""Diagnose a recording: its light curve against the thresholds, what stopped a light, and settings that fit it."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.evaluate.tune_images import NearFrames, ShownFrame, candidate_images
from detector.events import Pulse, Verdict
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.onset import MIN_SIMULTANEOUS_SHARE
from detector.prefilter.prefilter import Prefilter
from detector.settings import PrefilterSettings, Settings
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import Frame

NEAR_MISS = 0.5
"""A time of at least this strength that was not found is reported."""
_SMALL_BOX = 0.25
_BARS = " ▁▂▃▄▅▆▇█"
_PLAIN_BARS = " .:-=+*%@"


@dataclass(frozen=True, slots=True)
class Finding:
    """One candidate without its frames, to save memory; fields as in Candidate.

    Attributes:
        images: small copies of its frames, where they were asked for.
    """

    id: str
    start_seconds: float
    end_seconds: float
    peak_rise_levels: float
    lit_fraction: float
    box: tuple[float, float, float, float]
    verdict: Verdict
    pulses: tuple[Pulse, ...] = ()
    quality: tuple[str, ...] = ()
    steady_from: float | None = None
    images: tuple[ShownFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """The prefilter's measurements of one recording; arrays of equal length, one value per frame.

    Attributes:
        seconds: frame times on the source's clock.
        strength: rise over threshold that enough blocks reach at once: from 1 on a moment is bright enough.
        positivity: share of rises in all noticeable changes, 0..1; 0 where nothing changes.
        brightness: mean luma, levels.
        threshold_levels: median over frames and blocks of the rise that counts as lit.
        found: the candidates and their verdicts.
        refusals: by frame, what stopped those that were bright enough.
        near_images: by frame, small copies of what was nearly found, where they were asked for.
    """

    seconds: NDArray[np.float64]
    strength: NDArray[np.float64]
    positivity: NDArray[np.float64]
    brightness: NDArray[np.float64]
    threshold_levels: float
    found: tuple[Finding, ...]
    refusals: dict[int, str]
    near_images: Mapping[int, bytes] = field(default_factory=dict)


def trace_frames(
    name: str,
    frames: Iterable[Frame],
    settings: Settings,
    seen: Callable[[Candidate], None] = lambda _candidate: None,
    *,
    images: bool = False,
) -> Trace:
    """Return the trace of `frames`, run through the prefilter and the photometric verifier.

    Args:
        name: of the recording.
        frames: all of it.
        settings: for both.
        seen: called with each closed candidate while its frames are there.
        images: whether small copies of frames are kept.
    """
    prefilter, verifier = Prefilter(name, settings.prefilter), PhotometricVerifier(settings.photometric)
    rows: list[tuple[float, float, float, float]] = []
    found: list[Finding] = []
    thresholds: list[float] = []
    refusals: dict[int, str] = {}
    near = NearFrames(settings.prefilter.gap_seconds)
    for frame in frames:
        before = prefilter.change
        found += _judged(prefilter.push(frame), verifier, seen, images=images)
        change = prefilter.change
        strength = 0.0
        if change is not None:
            least = round(change.least_blocks)
            sudden = np.minimum(change.rise, change.step)
            ratio = np.where(prefilter.watched, sudden / change.scene.threshold, 0).ravel()
            strength = max(0.0, float(np.partition(ratio, -least)[-least]))
            thresholds.append(float(np.median(change.scene.threshold)))
            if strength >= 1 and prefilter.quiet:
                refusals[len(rows)] = _refusal(change, before)
            if images and prefilter.quiet and _near(strength, change.positivity, settings.prefilter):
                near.see(len(rows), frame, strength)
        brightness = float(frame.levels(frame.luma[::16, ::16]).mean())
        rows.append((frame.seconds, strength, change.positivity if change else 0.0, brightness))
    found += _judged(prefilter.flush(), verifier, seen, images=images)
    seconds, strengths, positivity, lumas = np.array(rows, np.float64).reshape(-1, 4).T
    return Trace(
        seconds,
        strengths,
        positivity,
        lumas,
        threshold_levels=float(np.median(thresholds)) if thresholds else 0.0,
        found=tuple(found),
        refusals=refusals,
        near_images=near.images(),
    )


def _near(strength: float, positivity: float, settings: PrefilterSettings) -> bool:
    """Return whether a frame was bright and pure enough to be named."""
    return strength >= NEAR_MISS and positivity >= settings.min_positivity


def _refusal(change: FrameChange, before: FrameChange | None) -> str:
    """Return why bright, positive light was not an onset, by the conditions of the prefilter."""
    if change.sudden_blocks < change.least_blocks:
        return "most of it had come before, or in too few places at once"
    if change.suddenness(before) < MIN_SIMULTANEOUS_SHARE:
        return "most of what brightened did so slowly"
    return "seen closer, what lies beside it got darker: something moves"


def _judged(
    candidates: list[Candidate], verifier: PhotometricVerifier, seen: Callable[[Candidate], None], *, images: bool
) -> list[Finding]:
    closed = [candidate for candidate in candidates if not candidate.open]
    for candidate in closed:
        seen(candidate)
    return [
        Finding(
            one.id,
            one.start_seconds,
            one.end_seconds,
            one.peak_rise_levels,
            one.lit_fraction,
            one.box,
            verdict,
            one.pulses,
            one.quality,
            one.context.steady_from,
            candidate_images(one) if images else (),
        )
        for one, verdict in zip(closed, verifier.verify(closed), strict=True)
    ]


def finds(frames: Iterable[Frame], settings: PrefilterSettings, seconds: float) -> bool:
    """Return whether the prefilter with `settings` passes on the moment at `seconds` of `frames`."""
    prefilter = Prefilter("trial", settings)
    for frame in takewhile(lambda frame: frame.seconds <= seconds + settings.gap_seconds, frames):
        if any(_covers(one, seconds, settings) for one in prefilter.push(frame) if not one.open):
            return True
    return any(_covers(one, seconds, settings) for one in prefilter.flush())


def _covers(found: Finding | Candidate, seconds: float, settings: PrefilterSettings) -> bool:
    return found.start_seconds - 0.5 <= seconds <= found.end_seconds + settings.gap_seconds


def near_misses(trace: Trace, settings: PrefilterSettings) -> list[int]:
    """Return the frames that were nearly found: bright and pure, the strongest of each half second."""
    missed: list[int] = []
    for n in np.flatnonzero((trace.strength >= NEAR_MISS) & (trace.positivity >= settings.min_positivity)):
        seconds = trace.seconds[n]
        if any(_covers(finding, float(seconds), settings) for finding in trace.found):
            continue
        if missed and seconds - trace.seconds[missed[-1]] < settings.gap_seconds:
            missed[-1] = int(n) if trace.strength[n] > trace.strength[missed[-1]] else missed[-1]
        else:
            missed.append(int(n))
    return missed


def proposals(
    trace: Trace, settings: PrefilterSettings, found_with: Callable[[PrefilterSettings, float], bool]
) -> list[str]:
    """Return settings worth trying, as lines of a settings file, each with its reason.

    Args:
        trace: the recording.
        settings: the settings it was run with.
        found_with: returns whether other settings find the moment at some seconds of the same recording.
    """
    lines = _thresholds(trace, settings, found_with) + _mask(trace)
    return lines or ["# the settings in use fit this recording"]


def _thresholds(
    trace: Trace, settings: PrefilterSettings, found_with: Callable[[PrefilterSettings, float], bool]
) -> list[str]:
    """Return lower thresholds for light that was too faint; brighter light was stopped by another condition."""
    faint = [n for n in near_misses(trace, settings) if trace.strength[n] < 1]
    if not faint:
        return []
    strongest = max(faint, key=lambda n: trace.strength[n])
    seconds, strength = float(trace.seconds[strongest]), float(trace.strength[strongest])
    lower = {
        name: round(0.9 * strength * float(getattr(settings, name)), 2)
        for name in ("min_rise_levels", "noise_factor", "swing_factor")
    }
    how = f"# moments nearly bright enough: {len(faint)}, the strongest at {seconds:.3f} s with {strength:.0%} of it"
    values = [f"prefilter.{name} = {value}" for name, value in lower.items()]
    if not found_with(msgspec.structs.replace(settings, **lower), seconds):
        return [f"{how}; lower thresholds alone do not find it (tried: {', '.join(values)})"]
    return [f"{how}; if they are lightning, these find it:", *values]


def _mask(trace: Trace) -> list[str]:
    """Return a mask over the rejected lights, if all of them lie in one small place."""
    boxes = [finding.box for finding in trace.found if finding.verdict.lightning is False]
    if not boxes:
        return []
    # Rounded outwards to whole hundredths, so that no edge of a light is left over.
    left, top = (math.floor(100 * min(box[side] for box in boxes)) / 100 for side in (0, 1))
    right, bottom = (math.ceil(100 * max(box[side] for box in boxes)) / 100 for side in (2, 3))
    if (right - left) * (bottom - top) > _SMALL_BOX:
        return []
    return [
        f"# all {len(boxes)} rejected moments lie in one small place; its mask, for the camera's [[camera]] table:",
        f"mask = [{{ box = [{left}, {top}, {right}, {bottom}] }}]",
    ]


def terminal_curve(trace: Trace, width: int, *, ascii_only: bool = False) -> list[str]:
    """Return two lines for a terminal: strength (full bar = 2 thresholds), and what was found below it.

    Args:
        trace: the recording.
        width: columns of the terminal.
        ascii_only: use nine plain signs that grow darker, for terminals without block signs.
    """
    signs = _PLAIN_BARS if ascii_only else _BARS
    if not len(trace.seconds):
        return []
    ends = np.linspace(trace.seconds[0], trace.seconds[-1] + 1e-9, width + 1)
    place = np.clip(np.searchsorted(ends, trace.seconds, side="right") - 1, 0, width - 1)
    bars, marks = [" "] * width, [" "] * width
    for column in range(width):
        inside = trace.strength[place == column]
        if len(inside):
            bars[column] = signs[min(len(signs) - 1, round(float(inside.max()) / 2 * (len(signs) - 1)))]
    for finding in trace.found:
        first, last = (
            int(np.clip(np.searchsorted(ends, seconds, side="right") - 1, 0, width - 1))
            for seconds in (finding.start_seconds, finding.end_seconds)
        )
        marks[first : last + 1] = ["#" if finding.verdict.lightning else "x"] * (last - first + 1)
    return ["".join(bars), "".join(marks)]
