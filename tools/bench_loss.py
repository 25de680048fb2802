#!/usr/bin/env python3
"""Measure the effect of packet loss: a made storm through proxies, in three encodings, over TCP and UDP.

Twelve cameras watch at once: every encoding and transport, once with 1 % of the RTP packets lost at random and once in
bursts of 150. Printed for each: minutes, share of marked frames, flashes shown, confirmed, published as unverified,
neither, and invented. Exit code 1 if one was invented.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import msgspec  # noqa: E402

from detector.settings import Settings, load_settings  # noqa: E402
from detector.verify.batcher import Batcher  # noqa: E402
from detector.verify.photometric.verifier import PhotometricVerifier  # noqa: E402
from helpers.links import BURSTS, ENCODINGS, RANDOM, Link, storm  # noqa: E402 - the tests' own cameras and proxies
from helpers.mangler import Mangler  # noqa: E402
from helpers.media import encode_again  # noqa: E402
from helpers.rtsp import RtspServer, missing  # noqa: E402
from helpers.truth import matches  # noqa: E402
from stream import Camera  # noqa: E402

CLIP_SECONDS, FLASHES = 24, ("bolt@2.5", "sheet@6", "pulses@9.4", "bolt@13.1", "sheet@16.8", "pulses@20.2")
KINDS = {"1 % lost": RANDOM, "bursts of 150": BURSTS}


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # The clip repeats after 24 s; a light that repeats five times would be a lamp.
    parser.add_argument("--seconds", type=float, default=80.0, help="how long all watch (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what chance decides (default %(default)s)")
    arguments = parser.parse_args()
    if reason := missing():
        sys.exit(f"bench_loss: {reason}")
    settings = load_settings()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        links = make_links(folder, settings, arguments.seed, stack)
        with Batcher(PhotometricVerifier(settings.photometric), settings.batcher) as judge:
            with ExitStack() as watching:
                for link in links:
                    watching.enter_context(link.watched(settings, judge))
                time.sleep(arguments.seconds)
            judge.drain()
        print(f"{'link':42} minutes  marked  shown  confirmed  unverified  neither  made up")
        rows = [row_of(link) for link in links]
        for link, row in zip(links, rows, strict=True):
            print(line(link.name, row))
        for kind in KINDS:
            print(line(f"all, {kind}", total([r for one, r in zip(links, rows, strict=True) if kind in one.name])))
    return 1 if any(row[-1] for row in rows) else 0


def make_links(folder: Path, settings: Settings, seed: int, stack: ExitStack) -> list[Link]:
    """Return the twelve links, with their servers running."""
    made, spans = storm(folder, CLIP_SECONDS, FLASHES, "--seed", str(seed))
    links = []
    for encoding, clip in ENCODINGS.items():
        log = folder / f"{encoding}.log"
        served = encode_again(made, folder / f"{encoding}.mp4", clip)
        server = stack.enter_context(RtspServer(served, "--log", str(log)))
        for transport in ("tcp", "udp"):
            for kind, faults in KINDS.items():
                mangler = stack.enter_context(Mangler(server.port, faults, seed=1000 * seed + len(links)))
                name, url = f"{encoding}, {transport}, {kind}", server.url.replace(str(server.port), str(mangler.port))
                camera = Camera(name, url, msgspec.structs.replace(settings.capture, transport=transport))
                links.append(Link(name, mangler, camera, log, spans))
    return links


def row_of(link: Link) -> list[float]:
    """Return minutes, frames, marked frames, flashes shown, confirmed, unverified, neither, invented."""
    seen = link.seen
    shown = [span for span in link.shown() if seen.seen_at_all(span)]
    confirmed = [span for span in shown if seen.found(span)]
    doubted = [flash for flash in seen.flashes.values() if flash.state == "unverified"]
    unverified = [span for span in shown if span not in confirmed and any(matches(f, [span]) for f in doubted)]
    minutes = (seen.arrivals[-1][0] - seen.arrivals[0][0]) / 60
    pictures, marked = len(seen.arrivals), sum(marked for _, marked in seen.arrivals)
    neither = len(shown) - len(confirmed) - len(unverified)
    return [minutes, pictures, marked, len(shown), len(confirmed), len(unverified), neither, len(link.made_up())]


def total(rows: list[list[float]]) -> list[float]:
    """Return the sums of `rows`."""
    return [sum(column) for column in zip(*rows, strict=True)]


def line(name: str, row: list[float]) -> str:
    """Return one row of the table."""
    minutes, pictures, marked, *counts = row
    columns = [f"{number:{width}.0f}" for number, width in zip(counts, (6, 10, 11, 8, 8), strict=True)]
    return f"{name:42} {minutes:7.1f}  {marked / pictures:5.0%} {' '.join(columns)}"


if __name__ == "__main__":
    sys.exit(main())
