"""Make pictures and films of a run's best flashes: short films, a composite of bolts, a reel.

They go into the folder `share` of the run. Without --composite or --reel a film of each of the best flashes is made.
"""

import argparse
from pathlib import Path

from detector.cli.console import progress_console
from detector.cli.types import count_of, folder_of, seconds_of
from detector.output.report.model import make_report
from detector.output.report.page import local_zone
from detector.output.report.source import read_run
from detector.output.share import ShareOptions, share_composites, share_films, share_reel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, and what to make of it."""
    parser.add_argument("run_path", type=folder_of, metavar="DIR", help="the folder given as --out to replay or watch")
    parser.add_argument(
        "--best", type=count_of, default=5, metavar="N", help="of so many flashes (default: %(default)s)"
    )
    parser.add_argument(
        "--composite", action="store_true", help="one picture of each camera's bolts together, and one of each hour"
    )
    parser.add_argument("--reel", action="store_true", help="one film of the best flashes in the order of time")
    parser.add_argument("--flash", metavar="ID", help="a film of this flash alone")
    parser.add_argument(
        "--format", choices=("mp4", "webp"), default="mp4", help="of films of single flashes (default: %(default)s)"
    )
    parser.add_argument(
        "--slow",
        type=seconds_of,
        default=4.0,
        metavar="TIMES",
        help="how many times slower strokes are shown (default: 4)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the films or composites asked for, and print their paths.

    Returns:
        the exit code: 1 if nothing could be made.

    Raises:
        OutputError: there are no results, or something cannot be written.
    """
    report = make_report(read_run(arguments.run_path), local_zone())
    options = ShareOptions(best=arguments.best, slow=arguments.slow, format=arguments.format)
    written: list[Path] = []
    if arguments.composite:
        written += share_composites(report, options)
    if arguments.reel and (reel := share_reel(report, options)) is not None:
        written.append(reel)
    if arguments.flash is not None or not (arguments.composite or arguments.reel):
        written += share_films(report, options, arguments.flash)
    for path in written:
        print(path)
    if not written:
        progress_console().print(
            f"{arguments.run_path}: nothing to share: a film needs a flash with a clip, a composite two stills of one "
            "camera; replay again with --out and clips",
            soft_wrap=True,
        )
    return 0 if written else 1
