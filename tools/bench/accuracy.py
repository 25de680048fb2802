"""Measure recall against flash strength, and false alarms per hour, on a grid of made scenes."""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from accuracy.beside import BesideResult, beside_cases, try_beside
from accuracy.footage import footage_folder, footage_table, labelled_clips, watch_clip, write_golden
from accuracy.grid import Case, codec_cases, lookalike_cases, strength_cases
from accuracy.plots import draw_alarms, draw_recall
from accuracy.tables import alarm_rows, codec_rows, kind_rows, recall_rows, verdict_rows
from accuracy.trial import Trial, run
from bench.result import Result

SIZES = {"quick": (60, 0.4, 1), "full": (600, 20.0, 6)}
"""Scenes with flashes, hours of look-alikes, clips per coding."""
BESIDE = {"quick": 6, "full": 40}
"""Scenes with lights at the same time, of each kind."""
WORST = 40
Item = TypeVar("Item")
Done = TypeVar("Done")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: which part of the grid, and how much."""
    parser.add_argument("--quick", action="store_true", help="a tenth of the grid or less: minutes, not an hour")
    parser.add_argument(
        "--only", choices=("strength", "lookalike", "codec", "beside", "footage"), help="one part of the grid"
    )
    parser.add_argument("--label", help="one look-alike or coding of it, e.g. headlights")
    parser.add_argument("--hours", type=float, help="camera-hours of look-alikes (default: 20, quick 0.4)")
    parser.add_argument("--seed", type=int, default=1, help="of the whole grid; told with every miss (default 1)")
    parser.add_argument(
        "--golden", action="store_true", help="keep what is found in the real clips beside them, for tests to compare"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("bench/accuracy"), help="folder of plots and results (%(default)s)"
    )


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Run the grid; always good, whatever it found."""
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    cases = [] if given.only in ("footage", "beside") else _cases(given)
    if cases:
        report(run_all(run, cases, given.workers), given.out, result)
    if given.only in (None, "beside") and given.label is None:
        beside = list(beside_cases(BESIDE["quick" if given.quick else "full"], given.seed))
        report_beside(run_all(try_beside, beside, given.workers), result)
    if given.only in (None, "footage") and given.label is None:
        report_footage(given.workers, golden=given.golden)
    print(
        f"grid seed {given.seed}, {len(cases)} scenes, {time.monotonic() - began:.0f} s"
        + (f"; results in {given.out}/" if cases else "")
    )
    return True


def _cases(given: argparse.Namespace) -> list[Case]:
    scenes, hours, each = SIZES["quick" if given.quick else "full"]
    cases = [
        *strength_cases(scenes, given.seed),
        *lookalike_cases(given.hours if given.hours is not None else hours, given.seed),
        *codec_cases(each, given.seed),
    ]
    chosen = [case for case in cases if given.only in (None, case.about) and given.label in (None, case.label)]
    if not chosen:
        labels = sorted({case.label for case in cases})
        raise SystemExit(f"bench accuracy: no scene is about {given.label!r}; there are {', '.join(labels)}")
    return chosen


def run_all(work: Callable[[Item], Done], items: Sequence[Item], workers: int) -> list[Done]:
    """Return what `work` makes of every item, in several processes; results in the order given."""
    results: dict[int, Done] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        ProcessPoolExecutor(workers, mp_context=context) as pool,
    ):
        task = progress.add_task("watching", total=len(items))
        waiting = {pool.submit(work, item): number for number, item in enumerate(items)}
        for done in as_completed(waiting):
            results[waiting[done]] = done.result()
            progress.advance(task)
    return [results[number] for number in range(len(items))]


def report_footage(workers: int, *, golden: bool) -> None:
    """Watch the real clips, if they are there, and print how they fared; `golden` keeps the results beside them."""
    folder = footage_folder()
    if folder is None:
        print("no real clips: set LIGHTNING_FOOTAGE to their folder (labels.json and the clips) to score them too")
        return
    clips = run_all(watch_clip, labelled_clips(folder), workers)
    Console(width=None if sys.stdout.isatty() else 130).print(footage_table(clips))
    if golden:
        print(f"results kept in {write_golden(folder, clips)}; the tests compare with them from now on")


def report_beside(results: Sequence[BesideResult], result: Result) -> None:
    """Tell how many flashes beside another light have their own times, and how many cells are told apart."""
    for about in dict.fromkeys(one.case.about for one in results):
        ours = [one for one in results if one.case.about == about]
        result.add(beside=about, scenes=len(ours), right=sum(one.right for one in ours))
        for one in [one for one in ours if not one.right][:WORST]:
            told = [f"{start:.2f}-{end:.2f} s" for start, end, _ in one.reports]
            made = [f"{start:.2f}-{end:.2f} s" for start, end in one.truth]
            print(f"  seed {one.case.plan.seed}: {', '.join(made)} told as {', '.join(told) or 'nothing'}")


def report(trials: Sequence[Trial], out: Path, result: Result) -> None:
    """Tell the figures; write plots, every result, and the misses and false alarms with the command that shows each."""
    with (out / "results.jsonl").open("w", encoding="utf-8") as file:
        for trial in trials:
            file.write(json.dumps(asdict(trial), default=str) + "\n")
    (out / "findings.md").write_text(findings(trials), encoding="utf-8")
    strength = [trial for trial in trials if trial.case.about == "strength"]
    quiet = [trial for trial in trials if trial.case.about == "lookalike"]
    coded = [trial for trial in trials if trial.case.about == "codec"]
    flashes = [one for trial in strength for one in trial.flashes]
    found: list[Iterable[dict[str, Any]]] = []
    if flashes:
        found += [recall_rows(flashes), kind_rows(flashes), alarm_rows(strength, "between flashes")]
        draw_recall(flashes, out / "recall.png")
    if quiet:
        found.append(alarm_rows(quiet))
        draw_alarms(quiet, out / "false_alarms.png")
    if coded:
        found.append(codec_rows(coded))
    for row in chain(*found, verdict_rows(trials)):
        result.add(**row)
    # As busy as the machine was.
    result.add(prefilter_us_a_frame=statistics.median(trial.prefilter_us for trial in trials))


def findings(trials: Sequence[Trial]) -> str:
    """Return the misses of strength 5 and more, wrong rejections and false alarms, each with its command."""
    lines = ["# Misses, wrong rejections and false alarms", ""]
    for title, chosen in (("Not found", "found"), ("Found but rejected", "confirmed")):
        missed = [
            (trial, one)
            for trial in trials
            for one in trial.flashes
            if one.visible and one.strength >= 5 and not getattr(one, chosen) and (chosen == "found" or one.found)
        ]
        lines += ["", f"## {title}: {len(missed)} (strength 5 and more)", ""]
        for trial, one in sorted(missed, key=lambda pair: -pair[1].strength)[:WORST]:
            what = (
                f"{'+'.join(one.kinds)}, strength {one.strength:.1f}, {one.rise_levels:.1f} levels, area {one.area:.1%}"
            )
            what += "" if one.levels_left is None else f", {one.levels_left:.1f} of them in 1 % of the file's picture"
            why = f", p {one.probability:.2f} ({_told(one.evidence)})" if one.found else ""
            lines += [f"- {one.start:.3f} s: {what} ({trial.case.about}, {trial.case.label}){why}"]
            lines += [f"  `{trial.case.command}`"]
    for title, confirmed in (("False alarms confirmed", True), ("False candidates rejected", False)):
        wrong = [(trial, alarm) for trial in trials for alarm in trial.alarms if alarm.confirmed == confirmed]
        lines += ["", f"## {title}: {len(wrong)}", ""]
        for trial, alarm in sorted(wrong, key=lambda pair: -pair[1].probability)[:WORST]:
            what = f"{trial.case.about}, {trial.case.label}, p {alarm.probability:.2f} ({_told(alarm.evidence)})"
            lines += [f"- {alarm.start:.3f} to {alarm.end:.3f} s: {what}", f"  `{trial.case.command}`"]
    return "\n".join(lines) + "\n"


def _told(evidence: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.2f}" for key, value in evidence.items())
