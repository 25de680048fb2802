"""Run commands turn by turn, and what each takes: wall time, CPU and memory, its own children included."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_SECONDS = 0.01
REPLAY = [sys.executable, "-m", "detector", "replay", "--verifier", "photometric", "--quiet"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: wall and CPU seconds, and the most memory it held at once in MB (10^6 bytes)."""

    wall_seconds: float
    cpu_seconds: float
    memory_mb: float


class RunError(Exception):
    """A measured command failed; names it and its code."""


def decode_command(clip: Path) -> list[str]:
    """Return the command that only decodes a clip."""
    return ["ffmpeg", "-v", "error", "-nostdin", "-i", str(clip), "-map", "0:v:0", "-f", "null", "-"]


def in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Cost]]:
    """Run each once unmeasured, so that files and programs are in the cache, then all in turn, so often.

    Returns:
        the costs of each, by its name, in the order of the rounds.

    Raises:
        RunError: one failed.
    """
    for command in commands.values():
        run(command)
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(run(command))
    return found


def ratio(ours: Sequence[Cost], others: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    """Return the median of the ratios of runs that were made in the same round."""
    return statistics.median(of(one) / of(other) for one, other in zip(ours, others, strict=True))


def cpu(cost: Cost) -> float:
    """Return CPU seconds of a run."""
    return cost.cpu_seconds


def wall(cost: Cost) -> float:
    """Return wall seconds of a run."""
    return cost.wall_seconds


def run(command: Sequence[str], *, cores: set[int] | None = None, environment: Mapping[str, str] | None = None) -> Cost:
    """Run `command` to its end, on these cores alone if any are named.

    Returns:
        its cost, its own children included.

    Raises:
        RunError: it ended with another code than 0.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        if cores is not None:
            os.sched_setaffinity(process.pid, cores)
        memory = 0
        # What the kernel reports at the end also counts this program before it became the other one; so the mark of the
        # running process is read instead. It only rises: what is missed is the growth of the last few milliseconds.
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            memory = max(memory, high_water_kb(process.pid))
            time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise RunError(f"{' '.join(command[:5])} ended with code {process.returncode}: {said[-1]}")
    return Cost(seconds, ended[2].ru_utime + ended[2].ru_stime, memory * 1024 / 1e6)


def high_water_kb(pid: int) -> int:
    """Return the most memory (KiB) that a running process and its children have held; 0 when it is just ending."""
    try:
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        texts = [Path(f"/proc/{one}/status").read_text(encoding="ascii") for one in family]
    except (OSError, psutil.Error):
        return 0
    lines = (line for text in texts for line in text.splitlines() if line.startswith("VmHWM:"))
    return sum(int(line.split()[1]) for line in lines)
