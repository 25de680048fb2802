"""Watch cameras for lightning and publish every flash on the event feed, until stopped.

Cameras are given as URLs (rtsp, rtsps, http), as devices (/dev/video0 or a number), or as [[camera]] tables of a
--config file (see configs/cameras.example.toml). A camera that goes away is taken up again as soon as it is back.
Given as URLs on the command line, at least one camera must answer at first, else the command ends and says why.
Without a terminal (a service), SIGHUP reads the file again: only cameras that changed are stopped or started.
With --engine ray the nodes of a Ray cluster share the cameras, and what they find is one feed and one journal here.
"""

import argparse

from detector.cli.loading import load
from detector.cli.options import (
    add_decoding_arguments,
    add_publish_arguments,
    add_settings_arguments,
    add_verifier_arguments,
)
from detector.cli.types import folder_of, seconds_of
from detector.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the cameras, outputs and the duration."""
    parser.add_argument("cameras", nargs="*", metavar="URL", help="cameras to watch; or use --config with [[camera]]")
    parser.add_argument(
        "--out",
        type=folder_of,
        metavar="DIR",
        help="write flashes-2026-11.jsonl (one a month), stills and clips (a folder a camera) there, flashes.csv at "
        "the end, together with what an earlier watch wrote",
    )
    parser.add_argument(
        "--json", action="store_true", help="print each event as a line of JSON instead of a short line"
    )
    parser.add_argument("--seconds", type=seconds_of, metavar="S", help="stop after this many seconds")
    parser.add_argument(
        "--keep-trying",
        action="store_true",
        help="go on even if no camera answers at first (always so with [[camera]])",
    )
    parser.add_argument(
        "--page",
        nargs="?",
        const="",
        metavar="HOST:PORT",
        help="serve the live page too, in a process of its own (default: page.listen of the settings)",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: the nodes of a Ray cluster watch, each its share of the cameras; a node that is lost hands them to "
        "the others; needs --journal and the extra `ray`; --out: each node writes into DIR/SITE-NODE there",
    )
    parser.add_argument(
        "--address", metavar="ADDRESS", help="with --engine ray: the cluster (default: auto, the one that runs here)"
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quiet", action="store_true", help="no status and no log lines below warnings on stderr")
    add_decoding_arguments(parser)
    add_verifier_arguments(parser)
    add_publish_arguments(parser, always=True)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Watch until stopped; return 1 if no camera ever answered, or --out is incomplete."""
    # Loaded now: the flags, and what is wrong with them, are told without video libraries.
    if arguments.engine == "ray":
        return int(load("detector.cli.watch_on_cluster").watch_on_cluster(arguments))
    if arguments.address is not None:
        raise UsageError(f"--address {arguments.address}: add --engine ray")
    return int(load("detector.cli.run_watch").run_watch(arguments))
