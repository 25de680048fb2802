"""Serve the live page of one site or several: cameras, flashes as they come, health, metrics.

It only listens to the feeds and reads the run's folder: it may end, hang or be slow without touching a camera.
Open http://127.0.0.1:8046/ in a browser; /health and /metrics are for monitors, /api/schema describes the rest.
"""

import argparse
import os
from contextlib import suppress
from pathlib import Path

from detector.cli.log import log_to_stderr
from detector.cli.options import add_settings_arguments, settings_of
from detector.cli.types import folders_of
from detector.errors import UsageError
from detector.output.report.page import local_zone
from stream import parse_endpoint

_NICE = 10  # cameras come first where they share a computer
_MISSING = "the page needs more: pip install 'lightning-detector[web]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the feeds, the folders and the address."""
    parser.add_argument("endpoints", nargs="+", metavar="ENDPOINT", help="a feed, e.g. tcp://127.0.0.1:5556")
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="[SITE=]DIR",
        help="the folder that watch was given as --out: stills, clips and images of the cameras; one for each site",
    )
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="where to answer browsers (default: page.listen of the settings)"
    )
    parser.add_argument(
        "--key", action="append", default=[], type=Path, metavar="FILE", help="client key: one for all, or one for each"
    )
    parser.add_argument("--title", help="what the page is called (default: the name of the site)")
    parser.add_argument("--insecure", action="store_true", help="answer other machines without a token")
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    settings = settings_of(arguments)
    try:
        from detector.integrations.web.server import PageOptions, serve  # noqa: PLC0415 - of the extra `web`
    except ModuleNotFoundError as error:
        raise UsageError(f"{_MISSING} ({error.name} is not installed)") from error
    for endpoint in arguments.endpoints:
        parse_endpoint(endpoint)
    if len(arguments.key) not in {0, 1, len(arguments.endpoints)}:
        raise UsageError(
            f"{len(arguments.key)} keys for {len(arguments.endpoints)} endpoints; give one, or one for each"
        )
    log_to_stderr()
    with suppress(OSError):  # a service manager may forbid it
        os.nice(_NICE)
    serve(
        PageOptions(
            endpoints=arguments.endpoints,
            keys=arguments.key,
            folders=folders_of(arguments.out),
            listen=arguments.listen or settings.page.listen,
            token=os.environ.get(settings.page.token_variable) or None,
            insecure=arguments.insecure,
            hosts=settings.page.hosts,
            title=arguments.title or "",
            zone=getattr(local_zone(), "key", "UTC"),
            storm=settings.storm,
        ),
        until_stdin_closes=arguments.until_stdin_closes,
    )
    return 0
