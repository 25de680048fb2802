"""Compare detections with labels, matched one to one: recall, precision, splits, false alarms and timing errors."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from detector.evaluate.labels import ClipLabels, Interval
from detector.evaluate.results import Detection

COLLAR_SECONDS = 0.1
PULSE_COLLAR_SECONDS = 0.02
_MIN_SECONDS = 1e-6  # least duration of a detection


@dataclass(frozen=True, slots=True)
class ClipScore:
    """The comparison of one clip's detections with its labels.

    Attributes:
        labelled: labelled flashes.
        found: labelled flashes that a detection matches, one to one.
        false_alarms: detections that overlap no label and no ignored time.
        duplicates: further detections of a labelled flash that another detection matches already.
        ignored: detections that overlap only ignored times.
        labelled_pulses: labelled pulses.
        found_pulses: labelled pulses that a detected pulse matches, one to one.
        onset_errors: onset of detection minus label, in seconds, for each match.
        missed: labelled flashes without a match.
        false_intervals: times of the false alarms.
        covered_seconds: time that detections cover.
        seconds: length of the clip; None where unknown.
    """

    labelled: int = 0
    found: int = 0
    false_alarms: int = 0
    duplicates: int = 0
    ignored: int = 0
    labelled_pulses: int = 0
    found_pulses: int = 0
    onset_errors: tuple[float, ...] = ()
    missed: tuple[Interval, ...] = ()
    false_intervals: tuple[Interval, ...] = ()
    covered_seconds: float = 0.0
    seconds: float | None = None

    @property
    def recall(self) -> float | None:
        """Share of labelled flashes found; None without labels."""
        return self.found / self.labelled if self.labelled else None

    @property
    def precision(self) -> float | None:
        """Share of reports that match a flash one to one; None without reports.

        A false alarm and a further report of the same flash are both wrong, since both change the count of flashes.
        """
        reports = self.found + self.duplicates + self.false_alarms
        return self.found / reports if reports else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of recall and precision, 0 where nothing was found; None without labels or reports.

        Splitting a storm into pieces raises recall, and merging flashes raises precision, but neither raises F1.
        """
        both = self.labelled + self.found + self.duplicates + self.false_alarms
        return 2 * self.found / both if both else None

    @property
    def pulse_recall(self) -> float | None:
        """Share of labelled pulses found; None without labels."""
        return self.found_pulses / self.labelled_pulses if self.labelled_pulses else None

    @property
    def false_alarms_per_hour(self) -> float | None:
        """False alarms per hour of video; None if the length is unknown."""
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
        """Share of the time that reports cover; None if the length is unknown."""
        return self.covered_seconds / self.seconds if self.seconds else None


def score_clip(
    labels: ClipLabels,
    detections: Sequence[Detection],
    *,
    collar_seconds: float = COLLAR_SECONDS,
    seconds: float | None = None,
) -> ClipScore:
    """Compare the detections of one clip with its labels.

    A detection matches a label if their intervals overlap, the label's extended by the collar. Each label and each
    detection is matched at most once, in order of time, for the most matches, and among these for the best onsets.

    Args:
        labels: labels of the clip.
        detections: detections in the clip.
        collar_seconds: extension of a label on both sides.
        seconds: length of the clip; that of the labels if omitted.

    Returns:
        the counts of the clip.
    """
    reports = sorted(detections, key=lambda report: report.interval)
    labelled = sorted(labels.flashes)
    pairs = match(labelled, [report.interval for report in reports], collar_seconds)
    taken_labels, taken_reports = {i for i, _ in pairs}, {j for _, j in pairs}
    left = [report.interval for j, report in enumerate(reports) if j not in taken_reports]
    touching = [interval for interval in left if _touches_any(interval, labelled, collar_seconds)]
    rest = [interval for interval in left if not _touches_any(interval, labelled, collar_seconds)]
    false_intervals = tuple(interval for interval in rest if not _touches_any(interval, labels.ignore, collar_seconds))
    pulses = sorted(pulse for report in reports for pulse in report.pulses)
    return ClipScore(
        labelled=len(labelled),
        found=len(pairs),
        false_alarms=len(false_intervals),
        duplicates=len(touching),
        ignored=len(rest) - len(false_intervals),
        labelled_pulses=len(labels.pulses),
        found_pulses=len(match(sorted(labels.pulses), pulses, PULSE_COLLAR_SECONDS)),
        onset_errors=tuple(round(reports[j].interval[0] - labelled[i][0], 6) for i, j in pairs),
        missed=tuple(interval for i, interval in enumerate(labelled) if i not in taken_labels),
        false_intervals=false_intervals,
        covered_seconds=sum(end - start for start, end in _joined([report.interval for report in reports])),
        seconds=seconds if seconds is not None else labels.seconds,
    )


def total(scores: Iterable[ClipScore]) -> ClipScore:
    """Return the sum of all clips; its length is None if one clip's is."""
    scores = list(scores)
    lengths = [score.seconds for score in scores]
    return ClipScore(
        labelled=sum(score.labelled for score in scores),
        found=sum(score.found for score in scores),
        false_alarms=sum(score.false_alarms for score in scores),
        duplicates=sum(score.duplicates for score in scores),
        ignored=sum(score.ignored for score in scores),
        labelled_pulses=sum(score.labelled_pulses for score in scores),
        found_pulses=sum(score.found_pulses for score in scores),
        onset_errors=tuple(error for score in scores for error in score.onset_errors),
        covered_seconds=sum(score.covered_seconds for score in scores),
        seconds=None if None in lengths else sum(length for length in lengths if length is not None),
    )


def match(labels: Sequence[Interval], reports: Sequence[Interval], collar_seconds: float) -> list[tuple[int, int]]:
    """Return pairs (label, report) of two sorted lists, in order, each index once: as many as possible, onsets close.

    The lists are matched in parts between times that nothing covers, so that the run time is linear in their length.
    """
    intervals = sorted(
        [(start - collar_seconds, end + collar_seconds, 1, 0) for start, end in labels]
        + [(start, max(end, start + _MIN_SECONDS), 0, 1) for start, end in reports]
    )
    matched: list[tuple[int, int]] = []
    label = report = labels_here = reports_here = 0
    reach = -math.inf
    for start, end, is_label, is_report in [*intervals, (math.inf, math.inf, 0, 0)]:
        if start >= reach:
            inside = labels[label : label + labels_here], reports[report : report + reports_here]
            matched += [(label + i, report + j) for i, j in _match_part(*inside, collar_seconds)]
            label, report, labels_here, reports_here = label + labels_here, report + reports_here, 0, 0
        labels_here, reports_here, reach = labels_here + is_label, reports_here + is_report, max(reach, end)
    return matched


def _match_part(
    labels: Sequence[Interval], reports: Sequence[Interval], collar_seconds: float
) -> list[tuple[int, int]]:
    """Match one part: the best matching never crosses, so it is found like a longest common subsequence."""
    # best[i][j]: (pairs, -sum of onset errors) for the first i labels and j reports.
    best = [[(0, 0.0)] * (len(reports) + 1) for _ in range(len(labels) + 1)]
    for i, label in enumerate(labels):
        for j, report in enumerate(reports):
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j])
            if _overlap(label, report, collar_seconds):
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


def score_all(
    labels: Mapping[str, ClipLabels],
    detections: Mapping[str, Sequence[Detection]],
    *,
    collar_seconds: float = COLLAR_SECONDS,
    length: Callable[[str], float | None] = lambda _clip: None,
) -> dict[str, ClipScore]:
    """Return the score of each labelled clip.

    Args:
        labels: labels of each clip.
        detections: detections in each clip.
        collar_seconds: extension of a label on both sides.
        length: returns a clip's seconds if the labels do not state them.
    """
    return {
        clip: score_clip(
            of_clip, detections.get(clip, ()), collar_seconds=collar_seconds, seconds=of_clip.seconds or length(clip)
        )
        for clip, of_clip in labels.items()
    }


def _overlap(label: Interval, report: Interval, collar: float) -> bool:
    return report[0] < label[1] + collar and label[0] - collar < max(report[1], report[0] + _MIN_SECONDS)


def _touches_any(report: Interval, labels: Iterable[Interval], collar: float) -> bool:
    return any(_overlap(label, report, collar) for label in labels)


def _joined(intervals: Sequence[Interval]) -> list[Interval]:
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest of `values` that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
