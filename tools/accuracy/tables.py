"""Figures of many trials, a row each: recall against strength, false alarms per hour, and verdicts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from accuracy.trial import FlashResult, Trial
from storm.truth import FLOOR_LEVELS

Row = dict[str, Any]

EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 50.0, float("inf"))
"""Strength in units of block noise."""


def recall_rows(flashes: Sequence[FlashResult]) -> Iterator[Row]:
    """Yield flashes found and confirmed, by strength: rise over block noise reached by 1 % of the frame."""
    for low, high in pairwise(EDGES):
        yield {"strength": f"{low:g} to {high:g}"} | _recall([one for one in flashes if low <= one.strength < high])
    yield {"strength": "all visible"} | _recall([one for one in flashes if one.visible])
    yield {"strength": "5 and more"} | _recall([one for one in flashes if one.strength >= 5])


def kind_rows(flashes: Sequence[FlashResult]) -> Iterator[Row]:
    """Yield the same by kind, for strengths of 5 and more."""
    strong = [one for one in flashes if one.strength >= 5]
    for kind in sorted({kind for one in strong for kind in one.kinds}):
        yield {"kind": kind} | _recall([one for one in strong if kind in one.kinds])


def alarm_rows(trials: Sequence[Trial], label: str | None = None) -> Iterator[Row]:
    """Yield false alarms by look-alike, or all of them under `label`."""
    groups = _by(trials, lambda trial: trial.case.label) if label is None else {}
    for name, some in [*groups.items(), (label or "all", list(trials))]:
        alarms = [alarm for trial in some for alarm in trial.alarms]
        yield {
            "look_alike": name,
            "camera_hours": sum(trial.seconds for trial in some) / 3600,
            "candidates": len(alarms),
            "confirmed": sum(alarm.confirmed for alarm in alarms),
        }


def codec_rows(trials: Sequence[Trial]) -> Iterator[Row]:
    """Yield recall and false alarms by coding; `shown`: 1 % of the frame still rises by FLOOR_LEVELS in the file."""
    for label, some in [*_by(trials, lambda trial: trial.case.label).items(), ("all", list(trials))]:
        strong = [one for trial in some for one in trial.flashes if one.visible and one.strength >= 5]
        shown = _recall([one for one in strong if (one.levels_left or 0.0) >= FLOOR_LEVELS])
        alarms = [alarm for trial in some for alarm in trial.alarms]
        yield (
            {"coding": label}
            | _recall(strong)
            | {"shown": shown["flashes"], "found_of_shown": shown["found"], "confirmed_of_shown": shown["confirmed"]}
            | {"false_candidates": len(alarms), "false_confirmed": sum(alarm.confirmed for alarm in alarms)}
        )


def verdict_rows(trials: Iterable[Trial]) -> Iterator[Row]:
    """Yield the verdicts of the photometric verifier about its candidates."""
    some = list(trials)
    hits = [one.confirmed for trial in some for one in trial.flashes if one.found]
    alarms = [alarm.confirmed for trial in some for alarm in trial.alarms]
    for name, said in (("lightning", hits), ("not", alarms)):
        yield {"candidate_is": name, "confirmed": sum(said), "rejected": len(said) - sum(said)}


def _recall(some: Sequence[FlashResult]) -> Row:
    errors = [abs(one.onset_error_frames) for one in some if one.onset_error_frames is not None]
    return {
        "flashes": len(some),
        "found": sum(one.found for one in some),
        "confirmed": sum(one.confirmed for one in some),
        "onset_within_a_frame": sum(error <= 1.01 for error in errors),
    }


def _by(trials: Iterable[Trial], key: Callable[[Trial], str]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[key(trial)].append(trial)
    return dict(groups)
