"""Compare results with labels, or with strokes that a network located: recall, splits, F1."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
from rich.table import Table

from detector.cli.console import ResultConsole
from detector.cli.score_network import add_network_arguments, run_network
from detector.errors import LabelsError
from detector.evaluate.by_verifier import JudgeScore, score_judges
from detector.evaluate.labels import ClipLabels, read_labels
from detector.evaluate.results import by_clip, of_other_clips, read_results
from detector.evaluate.score import ClipScore, score_all, total
from detector.events import Flash, State
from detector.settings import load_settings
from stream import open_video

_COLUMNS = ("clip", "flashes", "recall", "false", "per hour", "split", "F1", "pulses", "onset ms", "95 %", "covered")
_JUDGE_COLUMNS = ("flashes", "recall", "false", "split", "F1", "answered", "AUC", "Brier", "log loss", "s/answer")

# Columns of a table that goes to a file or a pipe.
_WIDE = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add LABELS, RESULTS and how to compare them."""
    parser.add_argument(
        "labels", type=Path, metavar="LABELS", help="JSON: flashes, pulses and ignore of each clip; not with --network"
    )
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        metavar="RESULTS",
        help="a run's folder, its flashes.jsonl, or what `replay --json` printed; several with --by verifier",
    )
    parser.add_argument(
        "--by",
        choices=("verifier",),
        help="a line for each verifier that judged, of all RESULTS; opinions are scored as if each had decided alone",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--states",
        default="confirmed,unverified",
        metavar="LIST",
        help="which flashes count as reported (default %(default)s)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.1,
        metavar="SECONDS",
        help="a report may miss the span of its label by this much (default %(default)s)",
    )
    parser.add_argument(
        "--footage", type=Path, metavar="FOLDER", help="folder with the clips: their lengths give false alarms per hour"
    )
    add_network_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read labels and results, compare them and print the scores.

    Returns:
        the exit code.

    Raises:
        LabelsError: a file or an argument cannot be used.
    """
    states = tuple(word.strip() for word in arguments.states.split(","))
    for state in states:
        if state not in get_args(State):
            raise LabelsError(
                f"--states {arguments.states}: no such state {state!r}; choose of {', '.join(get_args(State))}"
            )
    if not 0 <= arguments.tolerance <= 10:
        raise LabelsError(f"--tolerance {arguments.tolerance}: expected 0 to 10 seconds")
    if arguments.network is not None:
        return run_network(arguments, (arguments.labels, *arguments.results), states)
    if not arguments.results:
        raise LabelsError(f"{arguments.labels}: give RESULTS to compare with these labels, or --network FILE")
    if arguments.footage is not None and not arguments.footage.is_dir():
        raise LabelsError(f"--footage {arguments.footage}: no such folder; give the one with the labelled clips")
    labels = read_labels(arguments.labels)
    if arguments.by is not None:
        return _by_verifier(labels, arguments, states)
    if len(arguments.results) > 1:
        raise LabelsError(
            f"{len(arguments.results)} RESULTS: one run is scored at a time; --by verifier compares several"
        )
    flashes = read_results(arguments.results[0])
    _warn_of_other_clips(labels, flashes)
    detections = by_clip(flashes, labels, states)
    scores = score_all(labels, detections, collar_seconds=arguments.tolerance, length=_length_in(arguments.footage))
    if arguments.json:
        _print_json(labels, scores, arguments.tolerance, states)
    else:
        _print_tables(labels, scores, arguments, states)
    return 0


def _by_verifier(labels: Mapping[str, ClipLabels], arguments: argparse.Namespace, states: tuple[str, ...]) -> int:
    """Print a line for each verifier of each run."""
    runs = {str(path): read_results(path) for path in arguments.results}
    for flashes in runs.values():
        _warn_of_other_clips(labels, flashes)
    scores = score_judges(labels, runs, states=states, collar_seconds=arguments.tolerance)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode([_judge_numbers(score) for score in scores]), indent=2).decode())
    else:
        _print_judges(scores, states)
    return 0


def _judge_numbers(score: JudgeScore) -> dict[str, Any]:
    judge, quality = score.judge, score.quality
    return {
        "run": judge.run,
        "verifier": judge.verifier,
        "within": judge.within or None,
        "model": judge.model or None,
        "answered": score.answered,
        "asked": score.asked,
        "auc": None if quality is None else quality.auc,
        "brier": None if quality is None else quality.brier,
        "log_loss": None if quality is None else quality.log_loss,
        "answer_seconds": score.seconds,
    } | _numbers(score.score)


def _print_judges(scores: Sequence[JudgeScore], states: tuple[str, ...]) -> None:
    several = len({score.judge.run for score in scores}) > 1
    table = Table(box=None, pad_edge=False)
    for name in ("verifier", *(("run",) if several else ()), *_JUDGE_COLUMNS):
        table.add_column(name, justify="left" if name in ("verifier", "run") else "right", no_wrap=True)
    for score in scores:
        table.add_row(score.judge.label, *((score.judge.run,) if several else ()), *_judge_cells(score))
    console = ResultConsole(soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
    console.print(table)
    for other in scores[1:]:
        first = scores[0]
        console.print(
            f"{other.judge.label}{f' ({other.judge.run})' if several else ''} found {len(other.found - first.found)} "
            f"that {first.judge.label} missed, and missed {len(first.found - other.found)} that it found."
        )
    console.print(
        f"Counted as reported: {', '.join(states)}; clips that begin inside a flash are left out. AUC, Brier score and "
        "log loss are of the probabilities as they are, on flashes that a label decides; `calibrate` fits them."
    )


def _judge_cells(score: JudgeScore) -> tuple[str, ...]:
    counts, quality = score.score, score.quality
    figures = ("", "", "") if quality is None else (quality.auc, quality.brier, quality.log_loss)
    return (
        f"{counts.found}/{counts.labelled}",
        _percent(counts.recall),
        str(counts.false_alarms),
        str(counts.duplicates),
        _percent(counts.f1),
        f"{score.answered}/{score.asked}",
        *(figure if isinstance(figure, str) else f"{figure:.3f}" for figure in figures),
        "" if score.seconds is None else f"{score.seconds:.3g}",
    )


def _warn_of_other_clips(labels: Mapping[str, ClipLabels], flashes: Sequence[Flash]) -> None:
    """Print a line on stderr if results are of other clips, which would otherwise look like missed flashes."""
    others = of_other_clips(flashes, labels)
    if not others:
        return
    clips = sorted({flash.file or flash.camera for flash in others})
    named = ", ".join(clips[:5]) + (", ..." if clips[5:] else "")
    counted = len(flashes) - len(others)
    count = f"{counted or 'none'} of the {len(flashes)}"
    print(f"lightning-detector: {count} flashes are of labelled clips; not counted: those of {named}", file=sys.stderr)


def _length_in(folder: Path | None) -> Callable[[str], float | None]:
    """Return a function that reads a clip's length in seconds from its file; None if there is no such file."""

    def length(clip: str) -> float | None:
        if folder is None or not (folder / clip).is_file():
            return None
        with open_video(folder / clip, options=load_settings().capture) as video:
            if video.duration_seconds is not None:
                return video.duration_seconds
            last = 0.0
            for frame in video:
                last = frame.seconds + frame.duration
            return last

    return length


def _sums(labels: Mapping[str, ClipLabels], scores: Mapping[str, ClipScore]) -> dict[str, ClipScore]:
    """Return the totals; clips that begin inside a flash are separate, since that onset is not visible."""
    apart = {clip for clip, of_clip in labels.items() if of_clip.begins_inside}
    sums = {"total": total(score for clip, score in scores.items() if clip not in apart)}
    if apart:
        sums["begin inside a flash"] = total(scores[clip] for clip in apart)
    return sums


def _print_json(
    labels: Mapping[str, ClipLabels],
    scores: Mapping[str, ClipScore],
    collar_seconds: float,
    states: tuple[str, ...],
) -> None:
    content = {
        "tolerance_seconds": collar_seconds,
        "states": states,
        "clips": {clip: _numbers(score) for clip, score in scores.items()},
        "totals": {name: _numbers(score) for name, score in _sums(labels, scores).items()},
    }
    print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def _numbers(score: ClipScore) -> dict[str, Any]:
    """Return the printed values of a score, by the keys that users rely on."""
    return {
        "labelled": score.labelled,
        "found": score.found,
        "false_alarms": score.false_alarms,
        "split": score.duplicates,
        "ignored": score.ignored,
        "labelled_pulses": score.labelled_pulses,
        "found_pulses": score.found_pulses,
        "onset_errors": score.onset_errors,
        "missed": score.missed,
        "false_spans": score.false_intervals,
        "covered_seconds": score.covered_seconds,
        "seconds": score.seconds,
        "recall": score.recall,
        "precision": score.precision,
        "f1": score.f1,
        "pulse_recall": score.pulse_recall,
        "false_alarms_per_hour": score.false_alarms_per_hour,
        "onset_error_median": score.onset_error_median,
        "onset_error_95": score.onset_error_95,
        "covered_share": score.covered_share,
    }


def _print_tables(
    labels: Mapping[str, ClipLabels],
    scores: Mapping[str, ClipScore],
    arguments: argparse.Namespace,
    states: tuple[str, ...],
) -> None:
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "clip" else "right", no_wrap=True)
    for clip, score in scores.items():
        table.add_row(clip + (" *" if labels[clip].begins_inside else ""), *_cells(score))
    table.add_section()
    for name, score in _sums(labels, scores).items():
        table.add_row(name + (" *" if name != "total" else ""), *_cells(score), style="bold")
    console = ResultConsole(soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
    console.print(table)
    for clip, score in scores.items():
        for what, intervals in (("missed", score.missed), ("false", score.false_intervals)):
            for start, end in intervals:
                console.print(f"{what}: {clip} {start:.3f} to {end:.3f} s")
    console.print(
        f"Counted as reported: {', '.join(states)}. A report matches one label whose span it meets within "
        f"{arguments.tolerance:g} s. split: further reports on a flash that is matched already. F1: of recall and "
        "precision, splits and false alarms counted as wrong reports."
    )
    if any(score.seconds is None for score in scores.values()):
        console.print(
            "Lengths of some clips are unknown; --footage FOLDER gives false alarms per hour."
            if arguments.footage is None
            else f"Lengths of some clips are unknown: they are not in {arguments.footage}."
        )


def _cells(score: ClipScore) -> tuple[str, ...]:
    return (
        f"{score.found}/{score.labelled}",
        _percent(score.recall),
        str(score.false_alarms),
        "" if score.false_alarms_per_hour is None else f"{score.false_alarms_per_hour:.1f}",
        str(score.duplicates),
        _percent(score.f1),
        f"{score.found_pulses}/{score.labelled_pulses}",
        _milliseconds(score.onset_error_median),
        _milliseconds(score.onset_error_95),
        _percent(score.covered_share),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.0f}"
