"""One trial: a scene through prefilter and photometric verifier, and the result for each flash and each alarm."""

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from accuracy.coding import levels_left
from accuracy.grid import SUFFIX, Case
from detector.candidate import Candidate
from detector.evaluate.score import COLLAR_SECONDS, match
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from detector.verify.photometric.verifier import PhotometricVerifier
from storm import Labels, Scene, write_clip
from storm.truth import FlashTruth
from stream import Frame, open_video


@dataclass(frozen=True, slots=True)
class FlashResult:
    """The result for one made flash; see storm.truth.FlashTruth for its strength.

    Attributes:
        levels_left: levels by which 1 % of the blocks still rise in the coded file; None without coding.
    """

    start: float
    kinds: tuple[str, ...]
    visible: bool
    strength: float
    rise_levels: float
    area: float
    levels_left: float | None
    found: bool
    confirmed: bool
    onset_error_frames: float | None
    probability: float
    evidence: dict[str, float]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A candidate without a flash."""

    start: float
    end: float
    confirmed: bool
    probability: float
    evidence: dict[str, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One tried scene. seconds: its length; prefilter_us: the prefilter's time per frame in microseconds."""

    case: Case
    seconds: float
    prefilter_us: float
    flashes: list[FlashResult] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)


def run(case: Case) -> Trial:
    """Make the scene of `case`, watch it and compare."""
    cv2.setNumThreads(1)
    scene = Scene(case.plan)
    if case.form is None:
        found, cost = watch(scene.stream_frames())
        labels = scene.truth()
        return _compare(case, labels, [None] * len(labels.details), found, cost)
    with tempfile.TemporaryDirectory(prefix="accuracy-") as folder:
        path = Path(folder) / f"clip{SUFFIX.get(case.form.codec, '.mkv')}"
        labels = write_clip(scene, path, case.form)
        with open_video(str(path), options=load_settings().capture) as video:
            found, cost = watch(video)
        return _compare(case, labels, levels_left(scene, path, case.form, labels.details), found, cost)


def watch(frames: Iterable[Frame]) -> tuple[list[Candidate], float]:
    """Return the closed candidates and the prefilter's microseconds per frame."""
    prefilter = Prefilter("bench", load_settings().prefilter)
    candidates: list[Candidate] = []
    spent, count = 0.0, 0
    for frame in frames:
        began = time.perf_counter()
        candidates += prefilter.push(frame)
        spent += time.perf_counter() - began
        count += 1
    candidates += prefilter.flush()
    return [candidate for candidate in candidates if not candidate.open], 1e6 * spent / max(1, count)


def _compare(case: Case, labels: Labels, left: Sequence[float | None], found: list[Candidate], cost: float) -> Trial:
    found = sorted(found, key=lambda one: one.start_seconds)
    verdicts = PhotometricVerifier(load_settings().photometric).verify(found)
    frame = 1 / float(case.plan.rate)
    trial = Trial(case, case.plan.seconds, cost)
    pairs = _matched(labels.details, found)
    for place, (detail, levels) in enumerate(zip(labels.details, left, strict=True)):
        best = pairs.get(place)
        trial.flashes.append(
            FlashResult(
                detail.start,
                detail.kinds,
                detail.visible,
                detail.strength,
                detail.rise_levels,
                detail.area,
                levels,
                best is not None,
                best is not None and bool(verdicts[best].lightning),
                None if best is None else (found[best].start_seconds - detail.start) / frame,
                0.0 if best is None else verdicts[best].probability or 0.0,
                {} if best is None else dict(verdicts[best].evidence),
            )
        )
    spans = [(one.start, one.end) for one in labels.details] + [(start, end) for start, end in labels.ignore]
    for n in sorted(set(range(len(found))) - set(pairs.values())):
        if not any(_meet(found[n], start, end) for start, end in spans):
            one, verdict = found[n], verdicts[n]
            said = verdict.probability if verdict.probability is not None else 0.0
            trial.alarms.append(
                Alarm(one.start_seconds, one.end_seconds, bool(verdict.lightning), said, dict(verdict.evidence))
            )
    return trial


def _matched(details: list[FlashTruth], found: list[Candidate]) -> dict[int, int]:
    """Return the candidate that reports each flash; a flash that is too faint to count takes no report from another."""
    pairs: dict[int, int] = {}
    for visible in (True, False):
        flashes = [place for place, detail in enumerate(details) if detail.visible == visible]
        left = [n for n in range(len(found)) if n not in pairs.values()]
        spans = [(details[place].start, details[place].end) for place in flashes]
        reports = [(found[n].start_seconds, found[n].end_seconds) for n in left]
        pairs |= {flashes[i]: left[j] for i, j in match(spans, reports, COLLAR_SECONDS)}
    return pairs


def _meet(one: Candidate, start: float, end: float) -> bool:
    return one.start_seconds <= end + COLLAR_SECONDS and one.end_seconds >= start - COLLAR_SECONDS
