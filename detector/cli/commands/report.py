"""Write a page with the flashes of a run: stills, clips, light curve and what decided each verdict.

The page lies beside the run's results and needs nothing else; `report-assets` beside it holds its styles and scripts.
"""

import argparse
import webbrowser
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detector.cli.console import progress_console
from detector.cli.types import folder_of, utc_of
from detector.output.report.markers import MARKER_FORMATS, write_markers
from detector.output.report.model import make_report
from detector.output.report.page import local_zone, write_report
from detector.output.report.source import read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the choice of flashes and the form of output."""
    parser.add_argument(
        "run_path", type=Path, metavar="DIR|JOURNAL", help="the folder given as --out, or the file given as --journal"
    )
    parser.add_argument("--from", dest="begin", type=utc_of, metavar="UTC", help="only flashes at or after this time")
    parser.add_argument("--to", dest="end", type=utc_of, metavar="UTC", help="only flashes before this time")
    parser.add_argument(
        "--media",
        type=folder_of,
        metavar="DIR",
        help="of a journal: the folder given as --out (default: its own folder)",
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="write the page there (default: DIR/report.html)")
    parser.add_argument(
        "--timezone", type=zone_of, metavar="NAME", help="local times are of this zone, e.g. Europe/Vienna"
    )
    parser.add_argument(
        "--inline", action="store_true", help="put styles, scripts and stills into the page; clips stay beside it"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--export", choices=("csv",), help="write markers for a video editor instead of the page")
    parser.add_argument(
        "--marker-format", choices=MARKER_FORMATS, default="resolve", help="whose markers (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page or the markers, and print their paths.

    Returns:
        the exit code.

    Raises:
        OutputError: there are no results, or nothing can be written.
        JournalError: the file is no journal.
    """
    zone = arguments.timezone or local_zone()
    results = read_run(arguments.run_path, arguments.begin, arguments.end, arguments.media)
    if arguments.export is not None:
        written = write_markers(make_report(results, zone), results.folder, arguments.marker_format)
        for path in written:
            print(path)
        if not written:
            progress_console().print("no confirmed flashes, so no markers", soft_wrap=True)
        return 0
    page = write_report(results, zone=zone, inline=arguments.inline, target=arguments.file)
    print(page)
    if arguments.open:
        webbrowser.open(page.absolute().as_uri())
    return 0


def zone_of(text: str) -> ZoneInfo:
    """Return the time zone with this name in the IANA database."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time zone; write for example Europe/Vienna or UTC") from error
