"""Fit the photometric verifier's confidence on judged candidates, and tell how well it holds on sources not seen.

Give the results of `tools/bench accuracy` (its results.jsonl) and, with --run, runs on labelled clips. It gives
SLOPE and OFFSET of detector/verify/photometric/confidence.py, the quality with each source left out in turn, beside
that of the clues' sum, and the reliability table: probabilities told, and how many of these were lightning.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.result import Result
from detector.evaluate.calibration import labelled_clip
from detector.evaluate.comparison import compare, fit_logistic, smoothed
from detector.evaluate.labels import read_labels
from detector.evaluate.results import read_results
from detector.verify.photometric.confidence import OFFSET, SLOPE, total_doubt
from detector.verify.photometric.registry import CLUES
from detector.verify.probability import logistic

EDGES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged candidate: where it is from, whether it was lightning, and its evidence."""

    source: str
    lightning: bool
    evidence: Mapping[str, float]


def made(path: Path) -> Iterator[Judged]:
    """Yield the candidates of a results.jsonl: each look-alike, and flashes under each sky, are a source."""
    for line in path.read_text(encoding="utf-8").splitlines():
        trial: dict[str, Any] = json.loads(line)
        case = trial["case"]
        source = f"{case['about']} {case['label']} {case['plan']['sky'] if case['about'] == 'strength' else ''}"
        for flash in trial["flashes"]:
            if flash["found"]:
                yield Judged(source, lightning=True, evidence=flash["evidence"])
        for alarm in trial["alarms"]:
            yield Judged(source, lightning=False, evidence=alarm["evidence"])


def real(labels_file: Path, folder: Path) -> Iterator[Judged]:
    """Yield the candidates of a run that a label decides: clips of one group are a source."""
    labels = read_labels(labels_file)
    for flash in read_results(folder):
        labelled = labelled_clip(labels, flash)
        if labelled is not None and flash.verdict is not None:
            yield Judged(labels[labelled[0]].group or labelled[0], labelled[1], flash.verdict.evidence)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: the judged candidates."""
    parser.add_argument("results", type=Path, nargs="*", help="results.jsonl of `tools/bench accuracy`")
    parser.add_argument("--run", nargs=2, type=Path, action="append", default=[], metavar=("LABELS", "DIR"))
    parser.add_argument("--without", action="append", default=[], metavar="LABEL", help="leave out a look-alike")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Tell the fit, the quality on sources left out, and the reliability of the constants as they are."""
    judged = [one for path in given.results for one in made(path)]
    judged += [one for labels, folder in given.run for one in real(labels, folder)]
    judged = [one for one in judged if one.source.split(" ")[1:2] not in ([name] for name in given.without)]
    if len({one.source for one in judged}) < 2:
        print("bench reliability: give candidates of two sources or more", file=sys.stderr)
        return False
    truths = np.array([one.lightning for one in judged], bool)
    doubts = np.array([[total_doubt(CLUES, one.evidence)] for one in judged])
    sums = np.array([[sum(c.log_odds(one.evidence[c.key]) for c in CLUES if c.key in one.evidence)] for one in judged])
    slope, offset = fit_logistic(-doubts, smoothed(truths))
    result.add(candidates=len(judged), lightning=int(truths.sum()), SLOPE=slope, OFFSET=offset)
    found = compare({"confidence": -doubts, "sum of clues": sums}, truths, [one.source for one in judged])
    for name, one in found.items():
        result.add(sources_left_out=name, log_loss=one.log_loss, brier=one.brier, auc=one.auc)
    told = logistic(OFFSET - SLOPE * doubts[:, 0])
    for low, high in pairwise(EDGES):
        here = (told >= low) & (told < high)
        if here.any():
            result.add(
                told=f"{low:.2f} to {high:.2f}",
                candidates=here.sum(),
                mean_told=told[here].mean(),
                lightning_share=truths[here].mean(),
            )
    return True
