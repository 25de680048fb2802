"""The real clips, where they are at hand: every candidate and every confirmed flash against their labels."""

import os
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from accuracy.trial import watch
from detector.candidate import Candidate
from detector.evaluate.score import ClipLabels, ClipScore, Found, read_labels, score_clip, total
from detector.settings import load_settings
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import open_video

TIME_LAPSES = ("vikkadin", "denys")
"""Shown apart: their light curves are not those of real time."""


@dataclass(frozen=True, slots=True)
class Footage:
    """One real clip, watched: all its candidates, and those confirmed, against its labels."""

    name: str
    group: str | None
    candidates: ClipScore
    confirmed: ClipScore


def folder() -> Path | None:
    """Where the real clips are: $LIGHTNING_FOOTAGE; None if it does not name a folder with labels.json."""
    place = Path(os.environ.get("LIGHTNING_FOOTAGE", "unset"))
    return place if (place / "labels.json").is_file() else None


def watch_footage(path: Path) -> Footage:
    """The clip at `path`, with its labels from the labels.json beside it."""
    labels = read_labels(path.parent / "labels.json")[path.name]
    settings = load_settings()
    with open_video(path, options=settings.capture) as video:
        candidates, _ = watch(video)
        seconds = video.duration_seconds
    verdicts = PhotometricVerifier(settings.photometric).verify(candidates)
    confirmed = [one for one, verdict in zip(candidates, verdicts, strict=True) if verdict.lightning]
    scores = (_score(labels, candidates, seconds), _score(labels, confirmed, seconds))
    return Footage(path.name, labels.group, *scores)


def footage_table(clips: list[Footage]) -> Table:
    """Clip by clip, then all that begin outside a flash and run in real time."""
    table = Table(title="Real clips (flashes found / labelled; false alarms)")
    columns = ("clip", "labelled", "found", "confirmed", "pulses", "false candidates", "covered", "false confirmed")
    for column in columns:
        table.add_column(column, justify="left" if column == "clip" else "right")
    for clip in clips:
        _row(table, clip.name, clip.candidates, clip.confirmed)
    plain = [clip for clip in clips if clip.group not in TIME_LAPSES]
    _row(table, "all in real time", total(one.candidates for one in plain), total(one.confirmed for one in plain))
    return table


def _score(labels: ClipLabels, found: list[Candidate], seconds: float | None) -> ClipScore:
    reports = [
        Found(
            (one.start_seconds, one.end_seconds),
            tuple(
                (begin := one.start_seconds + pulse.offset_seconds, begin + pulse.duration_seconds)
                for pulse in one.pulses
            ),
        )
        for one in found
    ]
    return score_clip(labels, reports, seconds=seconds)


def _row(table: Table, name: str, candidates: ClipScore, confirmed: ClipScore) -> None:
    pulses = f"{candidates.found_pulses}/{candidates.labelled_pulses}" if candidates.labelled_pulses else ""
    labelled = candidates.labelled > 0
    table.add_row(
        name,
        str(candidates.labelled) if labelled else "",
        str(candidates.found) if labelled else "",
        str(confirmed.found) if labelled else "",
        pulses,
        str(candidates.false_alarms),
        f"{candidates.covered_share:.1%}" if candidates.covered_share is not None else "-",
        str(confirmed.false_alarms),
    )
