"""Measure the effect of packet loss: a made storm through proxies, in three encodings, over TCP and UDP.

Twelve cameras watch at once: every encoding and transport, once with 1 % of the RTP packets lost at random and once in
bursts of 150. Given for each: minutes, share of marked frames, flashes shown, confirmed, published as unverified,
neither, and invented; none may be invented. Needs the GStreamer RTSP server (make setup-dev).
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from bench.result import Result
from detector.settings import Settings, load_settings
from detector.verify.batcher import Batcher
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.links import BURSTS, ENCODINGS, RANDOM, Link, storm
from helpers.mangler import Mangler
from helpers.media import encode_again
from helpers.rtsp import RtspServer, missing
from helpers.truth import matches
from stream import Camera

CLIP_SECONDS, FLASHES = 24, ("bolt@2.5", "sheet@6", "pulses@9.4", "bolt@13.1", "sheet@16.8", "pulses@20.2")
KINDS = {"1 % lost": RANDOM, "bursts of 150": BURSTS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: how long, and what chance decides."""
    # The clip repeats after 24 s; a light that repeats five times would be a lamp.
    parser.add_argument("--seconds", type=float, default=80.0, help="how long all watch (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what chance decides (default %(default)s)")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Watch all links at once; whether no flash was invented."""
    if reason := missing():
        print(f"bench loss: {reason}", file=sys.stderr)
        return False
    settings = load_settings()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        links = make_links(folder, settings, given.seed, stack)
        with Batcher(PhotometricVerifier(settings.photometric), settings.batcher) as judge:
            with ExitStack() as watching:
                for link in links:
                    watching.enter_context(link.watched(settings, judge))
                time.sleep(given.seconds)
            judge.drain()
        rows = [row_of(link) for link in links]
        for link, row in zip(links, rows, strict=True):
            result.add(**figures(link.name, row))
        for kind in KINDS:
            every = [row for link, row in zip(links, rows, strict=True) if kind in link.name]
            result.add(**figures(f"all, {kind}", total(every)))
    return not any(row[-1] for row in rows)


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
    frames, marked = len(seen.arrivals), sum(marked for _, marked in seen.arrivals)
    neither = len(shown) - len(confirmed) - len(unverified)
    return [minutes, frames, marked, len(shown), len(confirmed), len(unverified), neither, len(link.made_up())]


def total(rows: list[list[float]]) -> list[float]:
    """Return the sums of `rows`."""
    return [sum(column) for column in zip(*rows, strict=True)]


def figures(name: str, row: list[float]) -> dict[str, Any]:
    """Return one row of the result."""
    minutes, frames, marked, *counts = row
    names = ("shown", "confirmed", "unverified", "neither", "made_up")
    return {"link": name, "minutes": minutes, "marked_share": marked / frames} | dict(zip(names, counts, strict=True))
