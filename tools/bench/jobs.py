"""How replay grows with cores: many files with --jobs, against one process on one core, and with --engine ray."""

import argparse
import importlib.util
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from bench.clips import make_storm
from bench.process import REPLAY, run
from bench.result import Result

EFFICIENCY_GOAL = 0.85  # of the cores, in times the speed of one process that is pinned to one
_RUN = '{"run": "0123456789ab"}'  # a name for the run, so that ids can be compared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: how much, and with how many."""
    parser.add_argument("--files", type=int, default=40, help="(default %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each (default %(default)s)")
    parser.add_argument("--lines", type=int, default=720, help="of each (default %(default)s)")
    parser.add_argument("--jobs", help="as 2,4,8 (default: 1, 2, 4, ... up to all cores)")
    parser.add_argument("--ray", action="store_true", help="also --engine ray, where it is installed")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Compare; whether all give the same flashes and the last has the speed that is asked for."""
    cores = sorted(os.sched_getaffinity(0))
    numbers = [int(one) for one in given.jobs.split(",")] if given.jobs else _doublings(len(cores))
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as name:
        night = Path(name) / "night"
        night.mkdir()
        made = make_storm(night / "c00", given.seconds, lines=given.lines)
        for number in range(1, given.files):
            (night / f"c{number:02}.mp4").hardlink_to(made)
        alone = _run(night, Path(name) / "alone", ["--jobs", "1"], {cores[0]})
        result.add(replay="--jobs 1 on one core", wall_s=alone[0], cpu_s=alone[1], flashes=len(alone[2]))
        good, speed = True, 1.0
        for jobs in numbers:
            seconds, cpu, flashes = _run(night, Path(name) / f"jobs{jobs}", ["--jobs", str(jobs)], set(cores))
            speed = alone[0] / seconds
            same = flashes == alone[2]
            good &= same
            result.add(
                replay=f"--jobs {jobs}",
                wall_s=seconds,
                cpu_s=cpu,
                speed=speed,
                of_cores=speed / min(jobs, len(cores)),
                same_flashes=same,
            )
        good &= speed >= EFFICIENCY_GOAL * min(numbers[-1], len(cores))
        if given.ray and importlib.util.find_spec("ray") is not None:
            words = ["--engine", "ray", "--jobs", str(numbers[-1])]
            seconds, _cpu, flashes = _run(night, Path(name) / "ray", words, set(cores))
            good &= flashes == alone[2]
            again = _run(night, Path(name) / "one", ["--jobs", str(numbers[-1])], set(cores))
            result.add(
                replay=" ".join(words),
                wall_s=seconds,
                more_than_jobs_s_a_file=(seconds - again[0]) / given.files,
                same_flashes=flashes == alone[2],
            )
    return good


def _doublings(cores: int) -> list[int]:
    numbers = [1]
    while numbers[-1] * 2 < cores:
        numbers.append(numbers[-1] * 2)
    return [*numbers, cores] if cores > 1 else numbers


def _run(night: Path, out: Path, words: list[str], cores: set[int]) -> tuple[float, float, list[dict[str, Any]]]:
    """Return (wall seconds, CPU seconds, flashes without what only says how long something took)."""
    out.mkdir()
    (out / "run.json").write_text(_RUN, encoding="utf-8")
    cost = run([*REPLAY, str(night), "--out", str(out), "--resume", *words], cores=cores)
    flashes = [json.loads(line)["data"] for line in (out / "flashes.jsonl").read_text(encoding="utf-8").splitlines()]
    for flash in flashes:
        del flash["latency_ms"], flash["verdict"]["seconds"]
    return cost.wall_seconds, cost.cpu_seconds, flashes
