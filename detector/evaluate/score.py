"""Flashes against labels: recall, false alarms, timing error; matched one to one."""

import difflib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from detector.errors import LabelsError
from detector.evaluate.labels import SEVERAL, clips_of, source_of
from detector.events import Flash, FlashMessage

Span = tuple[float, float]

TOLERANCE_SECONDS = 0.1
PULSE_TOLERANCE_SECONDS = 0.02
DEFAULT_STATES = ("confirmed", "unverified")
_INSIDE_SECONDS = 0.01
_LEAST_SECONDS = 1e-6  # of a report


class ClipLabels(msgspec.Struct, frozen=True, kw_only=True):
    """What a clip shows, in seconds of presentation time; an end is exclusive.

    kind: positive or negative. flashes: pulses joined over gaps shorter than 0.5 s. pulses: the finer lit runs.
    ignore: uncertain, neither a hit nor a false alarm there. seconds: length of the clip, where known.
    Keys of one's own may stand beside these, such as notes.
    """

    kind: Literal["positive", "negative"]
    flashes: tuple[Span, ...] = ()
    pulses: tuple[Span, ...] = ()
    ignore: tuple[Span, ...] = ()
    group: str | None = None
    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        """Refuse what would be counted wrongly without a word."""
        for name, spans in (("flashes", self.flashes), ("pulses", self.pulses), ("ignore", self.ignore)):
            for start, end in spans:
                if not start < end:
                    raise ValueError(f"{name}: [{start:g}, {end:g}] does not end after it has begun")
        if self.kind == "negative" and self.flashes:
            raise ValueError(f"a negative clip with {len(self.flashes)} flashes")

    @property
    def begins_inside(self) -> bool:
        """Whether the clip begins while a flash is on: its onset cannot be seen, so it is counted apart."""
        return any(start <= _INSIDE_SECONDS for start, _ in self.flashes)


@dataclass(frozen=True, slots=True)
class Found:
    """One reported flash: its span and its pulses, in seconds of presentation time."""

    span: Span
    pulses: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class ClipScore:
    """How the reports on one clip compare with its labels.

    found: labelled flashes that a report matches, one to one. false_alarms: reports that touch no label and nothing
    to be ignored. split: further reports on a labelled flash that another report matches already. onset_errors: report
    minus label, seconds, of each match. covered_seconds: time that reports cover. seconds: length, None where unknown.
    """

    labelled: int = 0
    found: int = 0
    false_alarms: int = 0
    split: int = 0
    ignored: int = 0
    labelled_pulses: int = 0
    found_pulses: int = 0
    onset_errors: tuple[float, ...] = ()
    missed: tuple[Span, ...] = ()
    false_spans: tuple[Span, ...] = ()
    covered_seconds: float = 0.0
    seconds: float | None = None

    @property
    def recall(self) -> float | None:
        """Share of labelled flashes found; None without labels."""
        return self.found / self.labelled if self.labelled else None

    @property
    def pulse_recall(self) -> float | None:
        """Share of labelled pulses found; None without labels."""
        return self.found_pulses / self.labelled_pulses if self.labelled_pulses else None

    @property
    def false_alarms_per_hour(self) -> float | None:
        """False alarms per hour of video; None where the length is unknown."""
        return self.false_alarms / (self.seconds / 3600) if self.seconds else None

    @property
    def onset_error_median(self) -> float | None:
        """Median of the absolute onset errors, seconds."""
        return _quantile([abs(error) for error in self.onset_errors], 0.5)

    @property
    def onset_error_95(self) -> float | None:
        """95th percentile of the absolute onset errors, seconds."""
        return _quantile([abs(error) for error in self.onset_errors], 0.95)

    @property
    def covered_share(self) -> float | None:
        """Share of the time that reports cover; None where the length is unknown."""
        return self.covered_seconds / self.seconds if self.seconds else None


def score_clip(
    labels: ClipLabels,
    found: Sequence[Found],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    seconds: float | None = None,
) -> ClipScore:
    """Compare reports on one clip with its labels.

    A report matches a label when their spans, the label's widened by `tolerance_seconds` on both sides, overlap; each
    label and each report at most once, in order of time, so that most are matched and among those the onsets agree
    best. `seconds`: length of the clip, else what the labels say.
    """
    reports = sorted(found, key=lambda report: report.span)
    labelled = sorted(labels.flashes)
    pairs = match(labelled, [report.span for report in reports], tolerance_seconds)
    taken_labels, taken_reports = {i for i, _ in pairs}, {j for _, j in pairs}
    left = [report.span for j, report in enumerate(reports) if j not in taken_reports]
    touching = [span for span in left if _touches_any(span, labelled, tolerance_seconds)]
    rest = [span for span in left if not _touches_any(span, labelled, tolerance_seconds)]
    false_spans = tuple(span for span in rest if not _touches_any(span, labels.ignore, tolerance_seconds))
    pulses = sorted(pulse for report in reports for pulse in report.pulses)
    return ClipScore(
        labelled=len(labelled),
        found=len(pairs),
        false_alarms=len(false_spans),
        split=len(touching),
        ignored=len(rest) - len(false_spans),
        labelled_pulses=len(labels.pulses),
        found_pulses=len(match(sorted(labels.pulses), pulses, PULSE_TOLERANCE_SECONDS)),
        onset_errors=tuple(round(reports[j].span[0] - labelled[i][0], 6) for i, j in pairs),
        missed=tuple(span for i, span in enumerate(labelled) if i not in taken_labels),
        false_spans=false_spans,
        covered_seconds=sum(end - start for start, end in _joined([report.span for report in reports])),
        seconds=seconds if seconds is not None else labels.seconds,
    )


def total(scores: Iterable[ClipScore]) -> ClipScore:
    """All clips as one; its length is None as soon as one clip's is."""
    scores = list(scores)
    lengths = [score.seconds for score in scores]
    return ClipScore(
        labelled=sum(score.labelled for score in scores),
        found=sum(score.found for score in scores),
        false_alarms=sum(score.false_alarms for score in scores),
        split=sum(score.split for score in scores),
        ignored=sum(score.ignored for score in scores),
        labelled_pulses=sum(score.labelled_pulses for score in scores),
        found_pulses=sum(score.found_pulses for score in scores),
        onset_errors=tuple(error for score in scores for error in score.onset_errors),
        covered_seconds=sum(score.covered_seconds for score in scores),
        seconds=None if None in lengths else sum(length for length in lengths if length is not None),
    )


def match(labels: Sequence[Span], reports: Sequence[Span], tolerance_seconds: float) -> list[tuple[int, int]]:
    """Pairs (label, report) of two sorted lists, in order, no index twice: as many as possible, onsets near.

    Moments that nothing spans part them, so that a night's thousands take no longer than its hours one by one.
    """
    spans = sorted(
        [(start - tolerance_seconds, end + tolerance_seconds, 1, 0) for start, end in labels]
        + [(start, max(end, start + _LEAST_SECONDS), 0, 1) for start, end in reports]
    )
    matched: list[tuple[int, int]] = []
    label = report = labels_here = reports_here = 0
    reach = -math.inf
    for start, end, is_label, is_report in [*spans, (math.inf, math.inf, 0, 0)]:
        if start >= reach:
            inside = labels[label : label + labels_here], reports[report : report + reports_here]
            matched += [(label + i, report + j) for i, j in _match_part(*inside, tolerance_seconds)]
            label, report, labels_here, reports_here = label + labels_here, report + reports_here, 0, 0
        labels_here, reports_here, reach = labels_here + is_label, reports_here + is_report, max(reach, end)
    return matched


def _match_part(labels: Sequence[Span], reports: Sequence[Span], tolerance_seconds: float) -> list[tuple[int, int]]:
    """As `match`: the best matching never crosses, so it is found row by row like a longest common subsequence."""
    # best[i][j]: (pairs, -sum of onset errors) for the first i labels and j reports.
    best = [[(0, 0.0)] * (len(reports) + 1) for _ in range(len(labels) + 1)]
    for i, label in enumerate(labels):
        for j, report in enumerate(reports):
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j])
            if _overlap(label, report, tolerance_seconds):
                pairs, nearness = best[i][j]
                best[i + 1][j + 1] = max(best[i + 1][j + 1], (pairs + 1, nearness - abs(label[0] - report[0])))
    matched = []
    i, j = len(labels), len(reports)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            matched.append((i, j))
    return matched[::-1]


def read_labels(path: Path) -> dict[str, ClipLabels]:
    """The labels of each clip, by file name.

    Raises:
        LabelsError: the file cannot be read or is not labels; names the clip and the field.
    """
    clip = None
    labels: dict[str, ClipLabels] = {}
    try:
        content = path.read_bytes()
        for clip, of_clip in msgspec.json.decode(content, type=dict[str, msgspec.Raw]).items():
            _refuse_misspelt(msgspec.json.decode(of_clip, type=dict[str, msgspec.Raw]))
            labels[clip] = msgspec.json.decode(of_clip, type=ClipLabels)
    except OSError as error:
        raise LabelsError(f"{path}: cannot read labels: {error.strerror}") from error
    except msgspec.DecodeError as error:
        where = path if clip is None else f"{path}, {clip}"
        raise LabelsError(
            f"{where}: not labels ({error}); expected an object of clips, each with kind (positive or negative), "
            "flashes, pulses and ignore (lists of [start, end] in seconds)"
        ) from error
    names = Counter(name for name, _ in json.loads(content, object_pairs_hook=list))
    if doubled := [name for name, count in names.items() if count > 1]:
        raise LabelsError(
            f"{path}, {doubled[0]}: not labels (it is there {names[doubled[0]]} times); name each clip once"
        )
    return labels


def _refuse_misspelt(keys: Iterable[str]) -> None:
    """A misspelt name would be a key of the user's own, and what it holds not be counted."""
    names = ClipLabels.__struct_fields__
    for key in keys:
        meant = difflib.get_close_matches(key, names, n=1, cutoff=0.8)
        if key not in names and meant:
            raise msgspec.ValidationError(f"`{key}` is like `{meant[0]}`, but is not read; write that, or another name")


def read_results(path: Path) -> list[Flash]:
    """The last revision of each flash in a run's folder, its flashes.jsonl, or the output of `replay --json`.

    Raises:
        LabelsError: it cannot be read, or a line is no event.
    """
    file = path / "flashes.jsonl" if path.is_dir() else path
    last: dict[str, Flash] = {}
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise LabelsError(
            f"{file}: cannot read results: {error.strerror}; expected what `replay --json` prints or --out writes"
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            flash = msgspec.json.decode(line, type=FlashMessage).data
        except msgspec.DecodeError as error:
            raise LabelsError(f"{file}, line {number}: not an event of this program: {error}") from error
        if flash.id not in last or flash.revision >= last[flash.id].revision:
            last[flash.id] = flash
    return list(last.values())


def by_clip(
    flashes: Iterable[Flash], clips: Iterable[str], states: Sequence[str] = DEFAULT_STATES
) -> dict[str, list[Found]]:
    """Reports in one of `states`, for each of `clips` (file names).

    Raises:
        LabelsError: a flash may be of two clips, or two files may be one clip.
    """
    flashes = list(flashes)
    found: dict[str, list[Found]] = {clip: [] for clip in clips}
    clip_of = clips_of(flashes, found)
    files: dict[str, str] = {}
    for flash in flashes:
        clip = clip_of.get(source_of(flash))
        if flash.state not in states or clip is None:
            continue
        if clip == SEVERAL:
            raise LabelsError(f"{flash.id}: two labelled clips are called {flash.camera}; results must name the file")
        if flash.file is not None and files.setdefault(clip, flash.file) != flash.file:
            both = f"{files[clip]} and {flash.file}"
            raise LabelsError(f"{clip}: results are of {both}; label each clip by its path as the results have it")
        found[clip].append(found_of(flash))
    return found


def of_other_clips(flashes: Iterable[Flash], clips: Iterable[str]) -> list[Flash]:
    """Those of `flashes`, in whatever state, that belong to none of `clips`."""
    flashes = list(flashes)
    clip_of = clips_of(flashes, set(clips))
    return [flash for flash in flashes if source_of(flash) not in clip_of]


def found_of(flash: Flash) -> Found:
    """The span and pulses of a reported flash."""
    start = flash.start_seconds
    pulses = tuple(
        (start + pulse.offset_seconds, start + pulse.offset_seconds + pulse.duration_seconds) for pulse in flash.pulses
    )
    return Found(span=(start, flash.end_seconds if flash.end_seconds is not None else start), pulses=pulses)


def score_all(
    labels: Mapping[str, ClipLabels],
    found: Mapping[str, Sequence[Found]],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    length: Callable[[str], float | None] = lambda _clip: None,
) -> dict[str, ClipScore]:
    """The score of each labelled clip; `length` gives a clip's seconds where the labels do not."""
    return {
        clip: score_clip(
            of_clip, found.get(clip, ()), tolerance_seconds=tolerance_seconds, seconds=of_clip.seconds or length(clip)
        )
        for clip, of_clip in labels.items()
    }


def _overlap(label: Span, report: Span, tolerance: float) -> bool:
    return report[0] < label[1] + tolerance and label[0] - tolerance < max(report[1], report[0] + _LEAST_SECONDS)


def _touches_any(report: Span, labels: Iterable[Span], tolerance: float) -> bool:
    return any(_overlap(label, report, tolerance) for label in labels)


def _joined(spans: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest of `values` that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
