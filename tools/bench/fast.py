"""What --fast changes: on each clip the flashes of the full decode against those of --fast, and the CPU of both."""

import argparse
import json
import subprocess
from pathlib import Path

from bench.process import REPLAY, RunError, cpu, in_turn, ratio
from bench.result import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: the clips."""
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, turn by turn (default %(default)s)")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Compare; whether no clip lost or gained a confirmed flash."""
    good = True
    for clip in given.clips:
        full, quick = _confirmed(clip), _confirmed(clip, "--fast")
        costs = in_turn({"full": [*REPLAY, str(clip)], "fast": [*REPLAY, "--fast", str(clip)]}, given.rounds)
        lost, gained = [one for one in full if one not in quick], [one for one in quick if one not in full]
        good &= not (lost or gained)
        ratio_cpu = ratio(costs["fast"], costs["full"], cpu)
        result.add(clip=clip.name, confirmed=len(full), lost_at_s=lost, gained_at_s=gained, cpu_ratio=ratio_cpu)
    return good


def _confirmed(clip: Path, *words: str) -> list[float]:
    """Return the onsets of the confirmed flashes of a clip, to a hundredth of a second."""
    done = subprocess.run([*REPLAY, "--json", *words, str(clip)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: the clip breaks off, what was found before stands
        raise RunError(f"{clip}: {done.stderr.strip()}")
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    flashes = [event["data"] for event in events if event["type"] == "lightning.flash.v1"]
    return sorted({round(one["start_seconds"], 2) for one in flashes if one["state"] == "confirmed"})
