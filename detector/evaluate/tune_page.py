"""The page of `tune`: light curve and thresholds, and all that was found, nearly found or cut away, with its frames."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from detector.errors import OutputError
from detector.evaluate.diagnose import NEAR_MISS, Finding, Trace, near_misses
from detector.evaluate.tune_images import ShownFrame
from detector.events import SOFTWARE
from detector.output.files import write_whole
from detector.output.report.embedding import ASSETS, embedded
from detector.output.report.page_data import packed, script_safe
from detector.output.report.symbols import ICONS, LINED
from detector.output.report.words import in_recording, length
from detector.output.text import plural
from detector.settings import Settings
from detector.verify.photometric.registry import CLUES
from detector.verify.photometric.verifier import PRIOR_LOG_ODDS

_HERE = Path(__file__).parent
_STYLES = (ASSETS / "base.css", ASSETS / "report.css", _HERE / "assets" / "tune.css")
_SCRIPTS = (ASSETS / "common.js", ASSETS / "curve.js", _HERE / "assets" / "tune.js")
_CLUES = {clue.key: clue for clue in CLUES}
_FINE_FRAMES = 60_000  # up to so many all are drawn; of longer recordings only those about lights
_AROUND_SECONDS = 2.0
_STEPS = 40_000  # of the rest
_STEP_SECONDS = 0.2
_TOLD_LOG_ODDS = 0.2  # a doubt that costs less is not worth a reader's time
_MOST_STRENGTH = 4.0
_WORDS = {"confirmed": "confirmed", "rejected": "rejected", "unverified": "unverified", "near": "nearly found"}
_BADGES = {"near": "detected"}


@dataclass(frozen=True, slots=True)
class _Clue:
    """One line of a light's clues; `adds` is in log-odds."""

    key: str
    value: str
    adds: float
    bounds: str
    doubt: str
    meaning: str


@dataclass(frozen=True, slots=True)
class _Image:
    kind: str
    words: str
    address: str


@dataclass(frozen=True, slots=True)
class _Light:
    """What was found, or nearly, as the page shows it; `begin`, `end` and `cut_from` in seconds."""

    id: str
    state: str
    begin: float
    end: float
    facts: str
    images: tuple[_Image, ...]
    reason: str = ""
    cut_from: float | None = None
    clues: tuple[_Clue, ...] = ()

    @property
    def badge(self) -> str:
        """The class of its badge."""
        return _BADGES.get(self.state, self.state)

    @property
    def words(self) -> str:
        """Its state in words."""
        return _WORDS[self.state]

    @property
    def time(self) -> str:
        """When it began."""
        return in_recording(self.begin, 3)

    @property
    def cut(self) -> str:
        """What was cut away from it, in words."""
        if self.cut_from is None:
            return ""
        return f"Cut away: light from {in_recording(self.cut_from, 3)} on, which was steady or hardly fell."

    @property
    def doubts(self) -> tuple[_Clue, ...]:
        """The clues that speak against lightning, the heaviest first."""
        return tuple(one for one in self.clues if one.adds <= -_TOLD_LOG_ODDS)


def write_page(trace: Trace, settings: Settings, path: Path, name: str, proposals: Sequence[str]) -> None:
    """Write the page of a recording; all that it shows stands in the one file.

    Args:
        trace: the recording, traced with images.
        settings: those it was run with.
        path: the page's file.
        name: what the recording is called.
        proposals: lines of settings worth trying.

    Raises:
        OutputError: it cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        keep_trailing_newline=True,
    )  # fmt: skip
    lights = _lights(trace, settings)
    text = environment.get_template("tune.html.j2").render(
        parts=embedded(_STYLES, _SCRIPTS),
        icons=ICONS,
        lined=LINED,
        name=name,
        subtitle=_subtitle(trace, lights),
        legend=_legend(lights),
        lights=lights,
        prior=f"{PRIOR_LOG_ODDS:+.2f}",
        proposals="\n".join(proposals),
        thresholds=thresholds_line(trace, settings),
        settings=list(_settings(settings)),
        software=SOFTWARE,
        data=_data(trace, settings, lights),
    )
    try:
        write_whole(path, [text.encode()])
    except OSError as error:
        raise OutputError(f"{path}: cannot write the page: {error.strerror or error}; choose another place") from error


def thresholds_line(trace: Trace, settings: Settings) -> str:
    """Return what a light had to reach in this recording, in words."""
    used = settings.prefilter
    return (
        f"rise {used.min_rise_levels:g} levels or {used.noise_factor:g} times the noise "
        f"(for most blocks {trace.threshold_levels:.1f} levels), in {used.min_lit_fraction:.1%} of the frame, "
        f"positivity {used.min_positivity:g}, {used.min_fine_positivity:g} seen closer"
    )


def near_words(trace: Trace, frame: int) -> str:
    """Return what was missing of a light that was nearly found, by the number of its frame."""
    strength, refusal = f"{trace.strength[frame]:.0%} of the strength needed", trace.refusals.get(frame)
    return f"nearly: {strength}" if refusal is None else f"bright enough ({strength}), but {refusal}"


def _lights(trace: Trace, settings: Settings) -> list[_Light]:
    found = [_found(number, one) for number, one in enumerate(trace.found)]
    near = [_near(trace, n, settings) for n in near_misses(trace, settings.prefilter)]
    return sorted(found + near, key=lambda one: one.begin)


def _found(number: int, one: Finding) -> _Light:
    verdict = one.verdict
    facts = [
        length(one.end_seconds - one.start_seconds) if one.end_seconds - one.start_seconds >= 1 else
        f"{one.end_seconds - one.start_seconds:.2f} s",
        plural(len(one.pulses), "pulse"),
        f"rise {one.peak_rise_levels:.0f} levels",
        f"{one.lit_fraction:.1%} of the frame lit",
    ]  # fmt: skip
    if verdict.probability is not None:
        facts.append(f"probability {verdict.probability:.2f}")
    facts += [f"damage: {', '.join(one.quality)}"] if one.quality else []
    return _Light(
        id=f"light-{number}",
        state=verdict.state,
        begin=one.start_seconds,
        end=one.end_seconds,
        facts=", ".join(facts),
        images=tuple(_image(shown, one.start_seconds) for shown in one.images),
        reason="" if verdict.reason is None else f"{verdict.state.capitalize()}: {verdict.reason}",
        cut_from=one.steady_from,
        clues=tuple(sorted(_clues(one), key=lambda row: row.adds)),
    )


def _near(trace: Trace, n: int, settings: Settings) -> _Light:
    seconds = float(trace.seconds[n])
    gap = settings.prefilter.gap_seconds
    close = [one for one in trace.near_images if abs(float(trace.seconds[one]) - seconds) < gap]
    nearest = min(close, key=lambda one: abs(one - n), default=None)
    shown = () if nearest is None else (ShownFrame("light", float(trace.seconds[nearest]), trace.near_images[nearest]),)
    return _Light(
        id=f"near-{n}",
        state="near",
        begin=seconds,
        end=seconds,
        facts=f"{trace.strength[n]:.0%} of the strength needed, positivity {trace.positivity[n]:.2f}",
        images=tuple(_image(one, seconds) for one in shown),
        reason=near_words(trace, n).capitalize() + ".",
    )


def _clues(one: Finding) -> Iterator[_Clue]:
    for key, value in one.verdict.evidence.items():
        clue = _CLUES.get(key)
        if clue is not None:
            bounds = f"{clue.against:g} ({-clue.cost:+g}) to {clue.clear:g} ({clue.favour:+g})"
            yield _Clue(key, f"{value:.3g}", clue.log_odds(value), bounds, clue.doubt, clue.meaning)


def _image(shown: ShownFrame, onset: float) -> _Image:
    after = shown.seconds - onset
    words = f"{shown.kind}, {after:+.2f} s" if shown.kind != "light" else f"{after:+.2f} s from the onset"
    kind = "light-frame" if shown.kind == "light" else shown.kind
    return _Image(kind, words, "data:image/jpeg;base64," + base64.b64encode(shown.jpeg).decode())


def _count(lights: Sequence[_Light], state: str) -> int:
    return sum(one.state == state for one in lights)


def _legend(lights: Sequence[_Light]) -> list[tuple[str, str]]:
    there = [(_BADGES.get(state, state), words) for state, words in _WORDS.items() if _count(lights, state)]
    return [*there, ("minus", "cut away")] if any(one.cut for one in lights) else there


def _subtitle(trace: Trace, lights: Sequence[_Light]) -> str:
    seconds = float(trace.seconds[-1] - trace.seconds[0]) if len(trace.seconds) else 0.0
    parts = [length(seconds), plural(len(trace.seconds), "frame")]
    parts += [f"{_count(lights, state)} {words}" for state, words in _WORDS.items()]
    return ", ".join(parts)


def _settings(settings: Settings) -> Iterator[tuple[str, str, bool]]:
    """Yield name, value and whether it was changed, of what decides here."""
    shipped = Settings()
    for section in ("prefilter", "photometric"):
        used, default = getattr(settings, section), getattr(shipped, section)
        for name in used.__struct_fields__:
            value = getattr(used, name)
            yield (
                f"{section}.{name}",
                f"{value:g}" if isinstance(value, float) else str(value),
                value != getattr(default, name),
            )


def _data(trace: Trace, settings: Settings, lights: Sequence[_Light]) -> Markup:
    used = settings.prefilter
    begin, end = (float(trace.seconds[0]), float(trace.seconds[-1])) if len(trace.seconds) else (0.0, 1.0)
    fine = _fine(trace, lights)
    curves: list[dict[str, Any]] = [
        {
            "name": "Strength",
            "words": "rise over its threshold that enough blocks reach at once",
            "piece": _piece(trace.seconds, trace.strength, fine),
            "most": _MOST_STRENGTH,
            "least": 1.2,
            "lines": [
                {"level": 1.0, "label": "found from here on"},
                {"level": NEAR_MISS, "label": "nearly found", "color": "--edge"},
            ],
        },
        {
            "name": "Positivity",
            "words": "share of rises in all that changed",
            "piece": _piece(trace.seconds, trace.positivity, fine),
            "most": 1.0,
            "least": 0.2,
            "lines": [{"level": used.min_positivity, "label": "pure enough from here on"}],
        },
        {
            "name": "Brightness",
            "words": "mean brightness, 0 to 255",
            "piece": _piece(trace.seconds, trace.brightness, fine),
            "most": 300.0,
            "least": 12.0,
            "lines": [],
        },
    ]
    return script_safe(
        {
            "begin": begin,
            "end": max(end, begin + 0.5),
            "curves": curves,
            "lights": [
                {"id": one.id, "state": one.state, "a": one.begin, "b": one.end, "cut": one.cut_from} for one in lights
            ],
        }
    )


def _fine(trace: Trace, lights: Sequence[_Light]) -> NDArray[np.bool_]:
    """Return the frames that are drawn one by one."""
    if len(trace.seconds) <= _FINE_FRAMES:
        return np.ones(len(trace.seconds), np.bool_)
    chosen = np.zeros(len(trace.seconds), np.bool_)
    for one in lights:
        first, last = np.searchsorted(trace.seconds, (one.begin - _AROUND_SECONDS, one.end + _AROUND_SECONDS))
        chosen[first:last] = True
    return chosen


def _piece(seconds: NDArray[np.float64], values: NDArray[np.float64], fine: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Return a curve as the canvas component reads it: extremes of each step, and every frame where it is `fine`."""
    if not len(seconds):
        return None
    after = seconds - seconds[0]
    step = max(_STEP_SECONDS, float(after[-1]) / _STEPS)
    place = (after / step).astype(np.int64)
    low = np.full(int(place.max()) + 1, np.nan)
    high = low.copy()
    np.fmin.at(low, place, values)
    np.fmax.at(high, place, values)
    return {
        "begin": float(seconds[0]),
        "step": step,
        "low": packed(low),
        "high": packed(high),
        "rise": packed(high),
        "t": base64.b64encode(after[fine].astype("<f4").tobytes()).decode(),
        "luma": packed(values[fine]),
        "fine_rise": packed(values[fine]),
    }
