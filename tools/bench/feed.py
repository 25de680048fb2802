"""Measure the event feed: lost and doubled messages over kills, a frozen subscriber, and many subscribers with CURVE.

python tools/bench feed kills  --kills 100 --rate 200
python tools/bench feed freeze --seconds 60 --rate 200
python tools/bench feed fanout --subscribers 50 --rate 100 --seconds 30
python tools/bench feed fuzz   --frames 1000000 --seed 1 [--curve]
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.result import Result
from feed_bench.fanout import measure_fanout
from feed_bench.freeze import measure_freeze
from feed_bench.fuzz import measure_fuzz
from feed_bench.kills import measure_kills


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: what is done to it, how often and how long."""
    modes = parser.add_subparsers(dest="mode", required=True)
    kills = modes.add_parser("kills", help="kill publisher and subscriber at random; count what is lost and doubled")
    kills.add_argument("--kills", type=int, default=100)
    freeze = modes.add_parser("freeze", help="freeze a subscriber; see it catch up and the publisher's memory")
    fanout = modes.add_parser("fanout", help="many subscribers with CURVE, one of them dead; latency of the others")
    fanout.add_argument("--subscribers", type=int, default=50)
    fuzz = modes.add_parser("fuzz", help="strangers that break ZMTP's rules; memory, and how an honest client fares")
    fuzz.add_argument("--frames", type=int, default=100_000, help="about so many are sent (default: 100000)")
    fuzz.add_argument("--curve", action="store_true", help="with keys; the strangers have one that is allowed")
    for mode, rate in ((kills, 200.0), (freeze, 200.0), (fanout, 100.0), (fuzz, 20.0)):
        mode.add_argument("--rate", type=float, default=rate, help=f"messages a second (default: {rate:g})")
        mode.add_argument("--port", type=int, default=7556, help="and the next one up")
    freeze.add_argument("--seconds", type=float, default=60.0, help="how long it is frozen")
    fanout.add_argument("--seconds", type=float, default=30.0)
    kills.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    fuzz.add_argument("--seed", type=int, default=1, help="of what the strangers do")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Run one measurement; whether what is required held."""
    endpoint = f"tcp://127.0.0.1:{given.port}"
    with tempfile.TemporaryDirectory(prefix="bench_feed_") as name:
        folder = Path(name)
        if given.mode == "kills":
            kills = measure_kills(folder, endpoint, given.kills, given.rate, given.seed)
            result.add(**asdict(kills))
            return kills.holds
        if given.mode == "freeze":
            freeze = measure_freeze(folder, endpoint, given.seconds, given.rate)
            result.add(**asdict(freeze))
            return freeze.holds
        if given.mode == "fuzz":
            fuzz = measure_fuzz(folder, endpoint, given.frames, given.rate, given.seed, curve=given.curve)
            result.add(**fuzz.figures())
            return fuzz.holds
        fanout = measure_fanout(folder, endpoint, given.subscribers, given.rate, given.seconds)
        result.add(**asdict(fanout))
        return fanout.holds
