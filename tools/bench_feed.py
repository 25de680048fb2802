#!/usr/bin/env python3
"""Measure the event feed: lost and doubled messages over kills, a frozen subscriber, and many subscribers with CURVE.

python tools/bench_feed.py kills  --kills 100 --rate 200
python tools/bench_feed.py freeze --seconds 60 --rate 200
python tools/bench_feed.py fanout --subscribers 50 --rate 100 --seconds 30
python tools/bench_feed.py fuzz   --frames 1000000 --seed 1 [--curve]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from feed_bench.fanout import FanoutResult, measure_fanout
from feed_bench.freeze import FreezeResult, measure_freeze
from feed_bench.fuzz import FuzzResult, measure_fuzz
from feed_bench.kills import KillResult, measure_kills


def main() -> int:
    """Run one measurement, print its figures, and return 1 if a requirement did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    arguments = parser.parse_args()
    endpoint = f"tcp://127.0.0.1:{arguments.port}"
    result: KillResult | FreezeResult | FanoutResult | FuzzResult
    with tempfile.TemporaryDirectory(prefix="bench_feed_") as folder:
        if arguments.mode == "kills":
            result = measure_kills(Path(folder), endpoint, arguments.kills, arguments.rate, arguments.seed)
        elif arguments.mode == "freeze":
            result = measure_freeze(Path(folder), endpoint, arguments.seconds, arguments.rate)
        elif arguments.mode == "fuzz":
            result = measure_fuzz(
                Path(folder), endpoint, arguments.frames, arguments.rate, arguments.seed, curve=arguments.curve
            )
        else:
            result = measure_fanout(Path(folder), endpoint, arguments.subscribers, arguments.rate, arguments.seconds)
    print("\n".join(result.lines()))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
