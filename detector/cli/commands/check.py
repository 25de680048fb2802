"""Try each camera: reachable, codec, rate, key frames, clock, image; and draw its mask and region.

All are tried at the same time, for some seconds. Exit code 1 if one cannot be watched; what is merely not as it
should be is said, with what to set.
"""

import argparse
import json
import logging

from rich.table import Table
from rich.text import Text

from detector.cli.console import progress_console, result_console
from detector.cli.log import log_to_stderr
from detector.cli.options import add_settings_arguments
from detector.cli.run_watch import settings_and_cameras
from detector.cli.types import folder_of, seconds_of
from detector.run.check_cameras import CameraReport, check_cameras
from stream import redact

_SECONDS = 6.0  # long enough for two sender reports, and for key frames 4 s apart


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the cameras, the time and the folder for images."""
    parser.add_argument("cameras", nargs="*", metavar="URL", help="cameras to try; or use --config with [[camera]]")
    parser.add_argument(
        "--pictures", type=folder_of, metavar="DIR", help="write NAME.jpg of each, with mask and region drawn"
    )
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        default=_SECONDS,
        metavar="S",
        help=f"watch each for so long (default: {_SECONDS:g})",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Try the cameras, print the results, and return 1 if one fails."""
    _, cameras = settings_and_cameras(arguments)
    log_to_stderr(quiet=True)
    logging.getLogger("stream").setLevel(logging.CRITICAL)  # the results contain its messages
    if not arguments.json:
        progress_console().print(f"trying {len(cameras)} cameras for {arguments.seconds:g} s")
    reports = check_cameras(cameras, arguments.seconds, arguments.pictures)
    if arguments.json:
        print(json.dumps({"cameras": [report.to_dict() for report in reports]}, indent=2))
    else:
        _print(reports)
    return int(any(report.failed for report in reports))


def _print(reports: list[CameraReport]) -> None:
    console = result_console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("camera", "", "codec", "size", "frames/s", "Mbit/s", "key frames", "clock", "latency", "level"):
        table.add_column(name, no_wrap=True)
    for report in reports:
        probe = report.probe
        if report.failed:
            table.add_row(probe.name, Text("fails", style="red"))
            continue
        bound = "" if probe.utc_error_ms is None else f" \N{PLUS-MINUS SIGN}{probe.utc_error_ms:.0f} ms"
        table.add_row(
            probe.name,
            Text("warning", style="yellow") if report.warnings else Text("ok", style="green"),
            probe.codec or "raw",
            "" if probe.size is None else f"{probe.size[0]}x{probe.size[1]}",
            f"{probe.fps:.1f}",
            f"{probe.megabits:.1f}",
            "" if probe.key_seconds is None else f"every {probe.key_seconds:.1f} s",
            f"{probe.clock}{bound}",
            "" if probe.latency_seconds is None else f"{probe.latency_seconds * 1000:.0f} ms",
            f"{probe.level:.0f}",
        )
    console.print(table)
    for report in reports:
        for line in ((report.probe.error,) if report.probe.error else ()) + report.warnings:
            console.print(Text(f"{report.probe.name}: {redact(line)}"), soft_wrap=True)
