"""Diagnose a recording: its light curve against the thresholds, what stopped a light, and settings that fit it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.events import Verdict
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.onset import MIN_SIMULTANEOUS_SHARE
from detector.prefilter.prefilter import Prefilter
from detector.settings import PrefilterSettings, Settings
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import Frame

NEAR_MISS = 0.5
"""A moment of at least this strength that was not found is reported."""
_SMALL_BOX = 0.25
_BARS = " ▁▂▃▄▅▆▇█"
_PLAIN_BARS = " .:-=+*%@"
_COLOURS = {"confirmed": (220, 160, 0), "rejected": (150, 150, 150)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One candidate without its frames, so that a long recording stays small; fields as in Candidate."""

    start_seconds: float
    end_seconds: float
    peak_rise_levels: float
    lit_fraction: float
    box: tuple[float, float, float, float]
    verdict: Verdict
    steady_from: float | None = None


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
    """

    seconds: NDArray[np.float64]
    strength: NDArray[np.float64]
    positivity: NDArray[np.float64]
    brightness: NDArray[np.float64]
    threshold_levels: float
    found: tuple[Finding, ...]
    refusals: dict[int, str]


def trace_frames(
    name: str, frames: Iterable[Frame], settings: Settings, seen: Callable[[Candidate], None] = lambda _candidate: None
) -> Trace:
    """Return the trace of `frames`, run through the prefilter and the photometric verifier.

    Args:
        name: of the recording.
        frames: all of it.
        settings: for both.
        seen: called with each closed candidate while its frames are there.
    """
    prefilter, verifier = Prefilter(name, settings.prefilter), PhotometricVerifier(settings.photometric)
    rows: list[tuple[float, float, float, float]] = []
    found: list[Finding] = []
    thresholds: list[float] = []
    refusals: dict[int, str] = {}
    for frame in frames:
        before = prefilter.change
        found += _judged(prefilter.push(frame), verifier, seen)
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
        brightness = float(frame.levels(frame.luma[::16, ::16]).mean())
        rows.append((frame.seconds, strength, change.positivity if change else 0.0, brightness))
    found += _judged(prefilter.flush(), verifier, seen)
    seconds, strengths, positivity, lumas = np.array(rows, np.float64).reshape(-1, 4).T
    return Trace(
        seconds,
        strengths,
        positivity,
        lumas,
        threshold_levels=float(np.median(thresholds)) if thresholds else 0.0,
        found=tuple(found),
        refusals=refusals,
    )


def _refusal(change: FrameChange, before: FrameChange | None) -> str:
    """Return what stopped a pure light that was bright enough and yet no onset, as the prefilter asks."""
    if change.sudden_blocks < change.least_blocks:
        return "most of it had come before, or in too few places at once"
    if change.suddenness(before) < MIN_SIMULTANEOUS_SHARE:
        return "most of what brightened did so slowly"
    return "seen closer, what lies beside it got darker: something moves"


def _judged(
    candidates: list[Candidate], verifier: PhotometricVerifier, seen: Callable[[Candidate], None]
) -> list[Finding]:
    closed = [candidate for candidate in candidates if not candidate.open]
    for candidate in closed:
        seen(candidate)
    return [
        Finding(
            one.start_seconds,
            one.end_seconds,
            one.peak_rise_levels,
            one.lit_fraction,
            one.box,
            verdict,
            one.context.steady_from,
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


def draw(trace: Trace, settings: PrefilterSettings, path: Path) -> None:
    """Write the light curve as an image: strength with its threshold, positivity with its own, brightness.

    Raises:
        OutputError: it cannot be written.
    """
    plot = _Plot(trace)
    plot.intervals(trace)
    plot.panel(0, "strength", trace.strength, 4.0, 1.0)
    plot.panel(1, "positivity", trace.positivity, 1.0, settings.min_positivity)
    plot.panel(2, "luma", trace.brightness, 255.0, None)
    plot.time_axis()
    try:
        plot.image.save(path)
    except ValueError as error:
        raise OutputError(f"{path}: no image format is called so; choose a name that ends in .png") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot write the image: {error.strerror or error}; choose another place") from error


class _Plot:
    """Three panels over one time axis."""

    size = (1600, 700)
    left, right, bottom = 70, 1580, 660

    def __init__(self, trace: Trace) -> None:
        self.image = Image.new("RGB", self.size, "white")
        self._pen = ImageDraw.Draw(self.image)
        self._seconds = trace.seconds
        self._start = float(trace.seconds[0]) if len(trace.seconds) else 0.0
        self._length = max(1e-6, float(trace.seconds[-1]) - self._start) if len(trace.seconds) else 1.0

    def _x(self, seconds: float) -> float:
        return self.left + (self.right - self.left) * (seconds - self._start) / self._length

    def intervals(self, trace: Trace) -> None:
        """Draw what was found, shaded by its verdict."""
        for finding in trace.found:
            verdict = finding.verdict
            colour = _COLOURS.get(verdict.state, (100, 100, 255))
            first, last = self._x(finding.start_seconds), self._x(finding.end_seconds)
            pale = (128 + colour[0] // 2, 128 + colour[1] // 2, 128 + colour[2] // 2)
            self._pen.rectangle((first, 20, max(first + 2, last), self.bottom), fill=pale)
            self._pen.text((first, 4), f"{verdict.state} {verdict.probability or 0:.2f}", fill=colour)

    def panel(self, number: int, title: str, values: NDArray[np.float64], top: float, threshold: float | None) -> None:
        """Draw one curve from 0 to `top`, with a red line at its threshold."""
        each = (self.bottom - 30) / 3
        low, high = 20 + (number + 1) * each, 30 + number * each
        heights = low - (low - high) * np.clip(values / top, 0, 1)
        self._pen.text((4, high), title, fill="black")
        self._pen.text((4, low - 12), f"0 to {top:g}", fill="grey")
        self._pen.line([(self.left, low), (self.right, low)], fill="grey")
        if threshold is not None:
            level = low - (low - high) * threshold / top
            self._pen.line([(self.left, level), (self.right, level)], fill="red")
        points = [(self._x(float(when)), float(y)) for when, y in zip(self._seconds, heights, strict=True)]
        if len(points) > 1:
            self._pen.line(points, fill="navy")

    def time_axis(self) -> None:
        """Draw the time axis in ten steps."""
        for share in np.linspace(0, 1, 11):
            x = self.left + float(share) * (self.right - self.left) - 10
            self._pen.text((x, self.bottom + 10), f"{self._start + float(share) * self._length:.1f} s", fill="black")
