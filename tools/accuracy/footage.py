"""Real clips, if available: candidates and confirmed flashes against labels, and results kept beside the clips."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.table import Table

from detector.candidate import Candidate
from detector.evaluate.labels import ClipLabels, read_labels
from detector.evaluate.results import detection_of
from detector.evaluate.score import ClipScore, score_clip, total
from detector.events import State, Verdict
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import open_video

GOLDEN = "golden.json"
"""File beside labels.json with the flashes found in each clip, for changes that must not change decisions."""


class GoldenFlash(msgspec.Struct, frozen=True):
    """One found flash of a clip.

    Attributes:
        state: state by the photometric verifier.
        start: seconds of presentation time.
        end: seconds of presentation time.
        pulses: (offset, duration, rise in levels) of each pulse.
        probability: probability of lightning, to 1e-4.
    """

    state: State
    start: float
    end: float
    pulses: tuple[tuple[float, float, float], ...]
    probability: float


@dataclass(frozen=True, slots=True)
class WatchedClip:
    """One real clip: all its candidates, and the confirmed ones, against its labels.

    Attributes:
        name: the file's name.
        labels: its labels.
        candidates: score of every candidate.
        confirmed: score of the confirmed ones.
        flashes: the flashes found, for comparison with earlier results.
    """

    name: str
    labels: ClipLabels
    candidates: ClipScore
    confirmed: ClipScore
    flashes: tuple[GoldenFlash, ...]


def footage_folder() -> Path | None:
    """Return $LIGHTNING_FOOTAGE; None if it does not name a folder with labels.json."""
    folder = Path(os.environ.get("LIGHTNING_FOOTAGE", "unset"))
    return folder if (folder / "labels.json").is_file() else None


def labelled_clips(folder: Path) -> list[Path]:
    """Return the clips of a folder that its labels.json names, in order."""
    return sorted(folder / name for name in read_labels(folder / "labels.json") if (folder / name).is_file())


def watch_clip(path: Path) -> WatchedClip:
    """Return the flashes found in a clip, compared with the labels.json beside it."""
    labels = read_labels(path.parent / "labels.json")[path.name]
    settings = load_settings()
    prefilter = Prefilter(path.name, settings.prefilter)
    candidates: list[Candidate] = []
    length = 0.0
    with open_video(path, options=settings.capture) as video:
        for frame in video:
            candidates += prefilter.push(frame)
            length = frame.seconds + frame.duration
    candidates += prefilter.flush()
    closed = [one for one in candidates if not one.open]
    verdicts = PhotometricVerifier(settings.photometric).verify(closed)
    confirmed = [one for one, verdict in zip(closed, verdicts, strict=True) if verdict.lightning]
    return WatchedClip(
        path.name,
        labels,
        score_clip(labels, [detection_of(one) for one in closed], seconds=length),
        score_clip(labels, [detection_of(one) for one in confirmed], seconds=length),
        tuple(_golden_flash(one, verdict) for one, verdict in zip(closed, verdicts, strict=True)),
    )


def read_golden(folder: Path) -> dict[str, tuple[GoldenFlash, ...]] | None:
    """Return the results kept beside the clips; None if there are none."""
    path = folder / GOLDEN
    if not path.is_file():
        return None
    return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[GoldenFlash, ...]])


def write_golden(folder: Path, clips: Iterable[WatchedClip]) -> Path:
    """Write the results of `clips` beside them, and return the file."""
    path = folder / GOLDEN
    path.write_bytes(msgspec.json.format(msgspec.json.encode({clip.name: clip.flashes for clip in clips}), indent=1))
    return path


def real_time(clips: Iterable[WatchedClip]) -> list[WatchedClip]:
    """Return the clips in which flashes can be counted: in real time, and not beginning inside a flash."""
    return [clip for clip in clips if clip.labels.category != "time-lapse" and not clip.labels.begins_inside]


def footage_table(clips: Sequence[WatchedClip]) -> Table:
    """Return a table of the clips, with the total of those in real time that do not begin inside a flash."""
    table = Table(title="Real clips (flashes found / labelled; false alarms)")
    columns = (
        "labelled",
        "found",
        "confirmed",
        "split",
        "pulses",
        "false candidates",
        "covered",
        "false confirmed",
        "F1",
    )
    for column in ("clip", *columns):
        table.add_column(column, justify="left" if column == "clip" else "right")
    for clip in clips:
        _add_row(table, clip.name, clip.candidates, clip.confirmed)
    counted = real_time(clips)
    _add_row(table, "total", total(clip.candidates for clip in counted), total(clip.confirmed for clip in counted))
    return table


def _golden_flash(candidate: Candidate, verdict: Verdict) -> GoldenFlash:
    return GoldenFlash(
        verdict.state,
        round(candidate.start_seconds, 6),
        round(candidate.end_seconds, 6),
        tuple(
            (round(pulse.offset_seconds, 6), round(pulse.duration_seconds, 6), round(pulse.rise_levels, 2))
            for pulse in candidate.pulses
        ),
        round(verdict.probability or 0.0, 4),
    )


def _add_row(table: Table, name: str, candidates: ClipScore, confirmed: ClipScore) -> None:
    pulses = f"{candidates.found_pulses}/{candidates.labelled_pulses}" if candidates.labelled_pulses else ""
    labelled = candidates.labelled > 0
    table.add_row(
        name,
        str(candidates.labelled) if labelled else "",
        str(candidates.found) if labelled else "",
        str(confirmed.found) if labelled else "",
        str(confirmed.duplicates) if labelled else "",
        pulses,
        str(candidates.false_alarms),
        f"{candidates.covered_share:.1%}" if candidates.covered_share is not None else "-",
        str(confirmed.false_alarms),
        f"{confirmed.f1:.1%}" if confirmed.f1 is not None else "-",
    )
