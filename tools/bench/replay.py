"""What replay costs beside pure decoding: wall time, CPU and memory, against ffmpeg on the same clip, turn by turn.

Also against PySceneDetect where it is installed, with --fast, and whether memory grows with the length.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

from bench.clips import CODECS, SIZES, join, make_storm
from bench.process import REPLAY, cpu, decode_command, in_turn, ratio, run, wall
from bench.result import Result

MEMORY_GOAL_MB, GROWTH_GOAL_MB = {720: 140.0, 1080: 140.0, 2160: 260.0}, 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: clips, or what to make, and how often."""
    parser.add_argument("clips", nargs="*", type=Path, help="clips (default: made storms)")
    parser.add_argument("--codecs", default="h264", help=f"of {','.join(CODECS)} (default %(default)s)")
    parser.add_argument("--lines", default="1080", help=f"of {','.join(map(str, SIZES))} (default %(default)s)")
    parser.add_argument("--mbit", type=float, default=2.0, help="Mbit/s of made storms (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a made storm (default %(default)s)")
    parser.add_argument("--times", type=int, default=3, help="a clip is put together so often (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, turn by turn (default %(default)s)")
    parser.add_argument("--fast", action="store_true", help="also with --fast")
    parser.add_argument("--growth", action="store_true", help="also once, twice and four times the length")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Compare on each clip; whether memory stays as asked."""
    good = True
    with tempfile.TemporaryDirectory(prefix="bench-replay-") as name:
        folder = Path(name)
        for label, clip, lines in _clips(given, folder):
            commands = {"ffmpeg": decode_command(clip), "replay": [*REPLAY, str(clip)]}
            if given.fast:
                commands["fast"] = [*REPLAY, "--fast", str(clip)]
            if importlib.util.find_spec("scenedetect") is not None:
                commands["scenedetect"] = [sys.executable, "-m", "scenedetect", "-i", str(clip), "detect-content"]
            costs = in_turn(commands, given.rounds)
            row = {"ffmpeg_cpu_s": min(map(cpu, costs["ffmpeg"]))}
            for other in [one for one in commands if one != "ffmpeg"]:
                row[f"{other}_cpu_ratio"] = ratio(costs[other], costs["ffmpeg"], cpu)
                row[f"{other}_wall_ratio"] = ratio(costs[other], costs["ffmpeg"], wall)
            memory = max(one.memory_mb for one in costs["replay"])
            good &= memory <= MEMORY_GOAL_MB.get(lines, MEMORY_GOAL_MB[2160])
            result.add(clip=label, **row, memory_mb=memory)
            if given.growth:
                good &= _growth(clip, folder, result)
    return good


def _clips(given: argparse.Namespace, folder: Path) -> list[tuple[str, Path, int]]:
    """Return (what it is, where it is, its lines) of each clip."""
    if given.clips:
        return [(f"{clip.name} x {given.times}", join(clip, given.times, folder), 1080) for clip in given.clips]
    found = []
    for codec in given.codecs.split(","):
        for lines in map(int, given.lines.split(",")):
            once = make_storm(folder / f"{codec}-{lines}", given.seconds, codec, lines, given.mbit)
            label = f"{codec} {lines} lines {given.mbit:g} Mbit/s, {given.seconds * given.times:g} s"
            found.append((label, join(once, given.times, folder), lines))
    return found


def _growth(clip: Path, folder: Path, result: Result) -> bool:
    peaks = []
    for times in (1, 2, 4):
        joined = join(clip, times, folder)
        peaks.append(run([*REPLAY, str(joined)]).memory_mb)
        joined.unlink()
    result.add(clip=clip.name, memory_mb_at_1_2_4_times=[round(peak, 1) for peak in peaks])
    return peaks[-1] - peaks[0] < GROWTH_GOAL_MB
