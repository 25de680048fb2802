"""A clip of 2 s: how much of it is start-up. Also against another checkout, turn by turn."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.clips import make_storm
from bench.process import REPLAY, Cost, cpu, decode_command, ratio, run, wall
from bench.result import Result

_FIRST_FRAME = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command line sets it
from detector.cli.loading import load
load("detector.cli.run_replay")
from stream import open_video
with open_video(sys.argv[1]) as video:
    next(iter(video))
    os._exit(0)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: what to compare with."""
    parser.add_argument("--base", type=Path, help="another checkout of this program")
    parser.add_argument("--mbit", type=float, default=4.0, help="Mbit/s of the clip (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each, turn by turn (default %(default)s)")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Compare; always good."""
    with tempfile.TemporaryDirectory(prefix="bench-start-") as folder:
        clip = make_storm(Path(folder) / "two", 2.0, mbit=given.mbit)
        here = _environment(Path(__file__).resolve().parents[2])
        runs: dict[str, tuple[Sequence[str], dict[str, str]]] = {
            "ffmpeg": (decode_command(clip), here),
            "libraries": ([REPLAY[0], "-c", "import av, cv2, numpy"], here),
            "to the first frame": ([REPLAY[0], "-c", _FIRST_FRAME, str(clip)], here),
            "replay": ([*REPLAY, str(clip)], here),
        }
        if given.base is not None:
            runs["base"] = ([*REPLAY, str(clip)], _environment(given.base.resolve()))
        costs: dict[str, list[Cost]] = {name: [] for name in runs}
        for _ in range(given.rounds + 1):  # the first brings all into the cache
            for name, (command, environment) in runs.items():
                costs[name].append(run(command, environment=environment))
    for name, all_of_it in costs.items():
        found = all_of_it[1:]
        row = {"cpu_s": sorted(map(cpu, found))[len(found) // 2], "wall_s": sorted(map(wall, found))[len(found) // 2]}
        if name == "replay" and "base" in costs:
            row |= {"cpu_of_base": ratio(found, costs["base"][1:], cpu)}
            row |= {"wall_of_base": ratio(found, costs["base"][1:], wall)}
        result.add(part=name, **row)
    return True


def _environment(checkout: Path) -> dict[str, str]:
    """Return an environment in which Python finds the program in `checkout`, and not in the folder it is started in."""
    return os.environ | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
