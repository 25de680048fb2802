#!/usr/bin/env python3
"""What replay costs beside pure decoding: wall time, CPU and memory, against ffmpeg on the same clip, turn by turn."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from storm import ClipFormat, FlashPlan, Plan, PlanError, Scene, WriteError, write_clip

COMMAND = str(Path(sys.executable).parent / "lightning-detector")
MADE_SECONDS = 20.0
REPEATS = 3
"""The made storm is put together this often: long enough that starting Python is not what is measured."""
LOOK_SECONDS = 0.01
WALL_GOAL, MEMORY_GOAL_MB, GROWTH_GOAL_MB = 1.25, 200.0, 15.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: wall and CPU seconds, and the most memory it held at once in MB (10^6 bytes)."""

    wall_seconds: float
    cpu_seconds: float
    memory_mb: float


class RunError(Exception):
    """A measured command failed; names it and its code."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="bench_replay.py", description=__doc__)
    made.add_argument("clip", nargs="?", type=Path, help="a clip (default: a made storm, 1080p at 25/s in H.264)")
    made.add_argument("--rounds", type=int, default=5, help="runs of each, turn by turn (default %(default)s)")
    made.add_argument("--seconds", type=float, default=MADE_SECONDS, help="of the made storm (default %(default)s)")
    made.add_argument("--no-growth", action="store_true", help="leave out the clip of twice the length")
    return made


def main() -> int:
    """Measure and print; 0 if the goals hold, 1 if not or if a run failed."""
    made = parser()
    given = made.parse_args()
    if shutil.which("ffmpeg") is None:
        made.error("ffmpeg is not on the PATH; install it (Debian: apt-get install ffmpeg)")
    with tempfile.TemporaryDirectory(prefix="bench-replay-") as folder:
        try:
            clip = given.clip or join(make(Path(folder) / "storm.mp4", given.seconds), REPEATS, Path(folder))
            good = measure(clip, given.rounds)
            if not given.no_growth:
                good &= measure_growth(clip, Path(folder))
        except (RunError, WriteError, PlanError) as error:
            print(f"bench_replay.py: {error}", file=sys.stderr)
            return 1
    return 0 if good else 1


def make(path: Path, seconds: float) -> Path:
    """A storm as a camera would send it: 1080p25 H.264 at 4 Mbit/s."""
    print(f"making {seconds:g} s of 1080p25 storm ...", file=sys.stderr)
    flashes = (FlashPlan(kind="bolt", at=seconds * 0.3), FlashPlan(kind="pulses", at=seconds * 0.7))
    plan = Plan(seconds=seconds, size=(1920, 1080), rate=25, flashes=flashes, seed=1, rain=0.2)
    write_clip(Scene(plan), path, ClipFormat(codec="libx264", bit_rate=4_000_000))
    return path


def measure(clip: Path, rounds: int) -> bool:
    """Compare both programs on `clip`; whether the goals hold."""
    decode = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(clip), "-f", "null", "-"]
    replay = [COMMAND, "replay", str(clip), "--verifier", "photometric", "--quiet"]
    for command in (decode, replay):  # once unmeasured: the file and both programs come into the cache
        run(command)
    pairs = [(run(decode), run(replay)) for _ in range(rounds)]
    table = Table(title=f"{clip.name}, {rounds} rounds turn by turn, medians")
    for column in ("", "wall s", "CPU s", "memory MB"):
        table.add_column(column, justify="right")
    for name, costs in (("ffmpeg", [one for one, _ in pairs]), ("replay", [two for _, two in pairs])):
        table.add_row(name, *(f"{value:.2f}" for value in _medians(costs)))
    wall = statistics.median(two.wall_seconds / one.wall_seconds for one, two in pairs)
    cpu = statistics.median(two.cpu_seconds / one.cpu_seconds for one, two in pairs)
    memory = max(two.memory_mb for _, two in pairs)
    table.add_row("replay / ffmpeg", f"{wall:.2f}", f"{cpu:.2f}", "")
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table)
    console.print(
        f"wall ratio {wall:.2f} (goal: at most {WALL_GOAL}), memory {memory:.0f} MB (goal: under {MEMORY_GOAL_MB:.0f})"
    )
    return wall <= WALL_GOAL and memory < MEMORY_GOAL_MB


def measure_growth(clip: Path, folder: Path) -> bool:
    """Replay the clip once, twice and four times in a row; whether memory stays as it is."""
    peaks = []
    for times in (1, 2, 4):
        joined = join(clip, times, folder)
        peaks.append(run([COMMAND, "replay", str(joined), "--verifier", "photometric", "--quiet"]).memory_mb)
        joined.unlink()
    print("memory at 1, 2 and 4 times the length: " + ", ".join(f"{peak:.0f} MB" for peak in peaks))
    return peaks[-1] - peaks[0] < GROWTH_GOAL_MB


def join(clip: Path, times: int, folder: Path) -> Path:
    """The clip `times` times in a row, without coding it again."""
    listing = folder / "list.txt"
    listing.write_text(f"file '{clip.resolve()}'\n" * times, encoding="utf-8")
    joined = folder / f"{clip.stem}-times-{times}{clip.suffix}"
    run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-nostdin",
            "-f",
            "concat",
            "-safe",
            "0",
            "-i",
            str(listing),
            "-c",
            "copy",
            str(joined),
        ]
    )
    return joined


def run(command: Sequence[str]) -> Cost:
    """Run `command` to its end.

    Returns:
        what it cost, its own children included.

    Raises:
        RunError: it ended with another code than 0.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        memory = 0
        # What the kernel reports at the end also counts this program before it became the other one; so the mark of the
        # running process is read instead. It only rises: what is missed is the growth of the last few milliseconds.
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            memory = max(memory, high_water_kb(process.pid))
            time.sleep(LOOK_SECONDS)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise RunError(f"{command[0]} ended with code {process.returncode}: {said[-1]}")
    return Cost(wall, ended[2].ru_utime + ended[2].ru_stime, memory * 1024 / 1e6)


def high_water_kb(pid: int) -> int:
    """The most memory (KiB) that a running process and its children have held; 0 when it is just ending."""
    try:
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        texts = [Path(f"/proc/{one}/status").read_text(encoding="ascii") for one in family]
    except (OSError, psutil.Error):
        return 0
    lines = (line for text in texts for line in text.splitlines() if line.startswith("VmHWM:"))
    return sum(int(line.split()[1]) for line in lines)


def _medians(costs: Sequence[Cost]) -> list[float]:
    return [
        statistics.median(one.wall_seconds for one in costs),
        statistics.median(one.cpu_seconds for one in costs),
        statistics.median(one.memory_mb for one in costs),
    ]


if __name__ == "__main__":
    sys.exit(main())
