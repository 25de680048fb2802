"""Tables of many trials: recall against strength, false alarms per hour, and verdicts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
from rich.table import Table

from accuracy.trial import FlashResult, Trial
from storm.truth import FLOOR_LEVELS

EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 50.0, float("inf"))
"""Strength in units of block noise."""


def recall_table(flashes: Sequence[FlashResult]) -> Table:
    """Return flashes found and confirmed, by strength."""
    table = Table(title="Recall against strength (rise over block noise reached by 1 % of the frame)")
    for column in ("strength", "flashes", "found", "confirmed", "onset within a frame"):
        table.add_column(column, justify="right")
    for low, high in pairwise(EDGES):
        _recall_row(table, f"{low:g} to {high:g}", [one for one in flashes if low <= one.strength < high])
    _recall_row(table, "all visible", [one for one in flashes if one.visible])
    _recall_row(table, "5 and more", [one for one in flashes if one.strength >= 5])
    return table


def kind_table(flashes: Sequence[FlashResult]) -> Table:
    """Return the same by kind, for strengths of 5 and more."""
    table = Table(title="Recall by kind (strength 5 and more)")
    for column in ("kind", "flashes", "found", "confirmed", "onset within a frame"):
        table.add_column(column, justify="right")
    strong = [one for one in flashes if one.strength >= 5]
    for kind in sorted({kind for one in strong for kind in one.kinds}):
        _recall_row(table, kind, [one for one in strong if kind in one.kinds])
    return table


def alarm_table(trials: Iterable[Trial]) -> Table:
    """Return false alarms per camera-hour by look-alike."""
    table = Table(title="False alarms in scenes without lightning")
    for column in ("look-alike", "camera-hours", "candidates", "candidates/hour", "confirmed", "confirmed/hour"):
        table.add_column(column, justify="right")
    for label, some in [*_by(trials, lambda trial: trial.case.label).items(), ("all", list(trials))]:
        hours = sum(trial.seconds for trial in some) / 3600
        alarms = [alarm for trial in some for alarm in trial.alarms]
        wrong = sum(alarm.confirmed for alarm in alarms)
        rates = (f"{count / hours:.1f}" if hours else "-" for count in (len(alarms), wrong))
        candidates, confirmed = rates
        table.add_row(label, f"{hours:.2f}", str(len(alarms)), candidates, str(wrong), confirmed)
    return table


def codec_table(trials: Iterable[Trial]) -> Table:
    """Return recall by codec and bit rate, also of only the flashes that the file still shows, and false alarms."""
    table = Table(title=f"Coded clips (shown: 1 % of the picture still rises by {FLOOR_LEVELS:g} levels in the file)")
    for column in ("coding", "flashes", "found", "confirmed", "onset within a frame"):
        table.add_column(column, justify="right")
    for column in ("shown", "found of these", "confirmed of these", "false candidates", "false confirmed"):
        table.add_column(column, justify="right")
    for label, some in [*_by(trials, lambda trial: trial.case.label).items(), ("all", list(trials))]:
        strong = [one for trial in some for one in trial.flashes if one.visible and one.strength >= 5]
        shown = [one for one in strong if (one.levels_left or 0.0) >= FLOOR_LEVELS]
        alarms = [alarm for trial in some for alarm in trial.alarms]
        wrong = sum(alarm.confirmed for alarm in alarms)
        table.add_row(label, *_recall(strong), *_recall(shown)[:3], str(len(alarms)), str(wrong))
    return table


def confusion_table(trials: Iterable[Trial]) -> Table:
    """Return the verdicts of the photometric verifier about its candidates."""
    table = Table(title="Photometric verifier: what it said of each candidate")
    for column in ("candidate is", "confirmed", "rejected"):
        table.add_column(column, justify="right")
    some = list(trials)
    hits = [one for trial in some for one in trial.flashes if one.found]
    alarms = [alarm for trial in some for alarm in trial.alarms]
    for name, said in (("lightning", [one.confirmed for one in hits]), ("not", [one.confirmed for one in alarms])):
        table.add_row(name, str(sum(said)), str(len(said) - sum(said)))
    return table


def _recall_row(table: Table, name: str, some: Sequence[FlashResult]) -> None:
    table.add_row(name, *_recall(some))


def _recall(some: Sequence[FlashResult]) -> list[str]:
    if not some:
        return ["0", "-", "-", "-"]
    errors = [abs(one.onset_error_frames) for one in some if one.onset_error_frames is not None]
    onset = f"{np.mean(np.array(errors) <= 1.01):.1%}" if errors else "-"
    return [
        str(len(some)),
        f"{np.mean([one.found for one in some]):.1%}",
        f"{np.mean([one.confirmed for one in some]):.1%}",
        onset,
    ]


def _by(trials: Iterable[Trial], key: Callable[[Trial], str]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[key(trial)].append(trial)
    return dict(groups)
