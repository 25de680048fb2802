"""List the events that a journal keeps; a publisher may be writing it at the same time."""

import argparse
import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from detector.cli.console import progress_console, result_console
from detector.cli.options import add_filter_arguments
from detector.cli.types import count_of, number_of, utc_of
from detector.events import FLASH_TOPIC, decode_flash_message
from detector.output.tables import CSV_COLUMNS, csv_row
from detector.output.text import EventLines
from stream import HistoryFilter, JournalRecord, read_history


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the journal, the choice of messages and the form of output."""
    parser.add_argument("journal", type=Path, metavar="JOURNAL", help="the file given as --journal to watch or replay")
    add_filter_arguments(parser)
    parser.add_argument("--since", type=number_of, default=0, metavar="N", help="only messages behind number N")
    parser.add_argument("--from", dest="begin", type=utc_of, metavar="UTC", help="published at or after this time")
    parser.add_argument("--to", dest="end", type=utc_of, metavar="UTC", help="published before this time")
    parser.add_argument("--newest", type=count_of, metavar="N", help="only the last N of what matches")
    parser.add_argument("--latest", action="store_true", help="each flash once, in its last revision")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one message a line, as it was published")
    form.add_argument("--csv", action="store_true", help="flashes as CSV, with the columns of flashes.csv")


def run(arguments: argparse.Namespace) -> int:
    """Print the messages, oldest first; an empty result is not a failure."""
    wanted = HistoryFilter(
        since=arguments.since,
        begin_utc=arguments.begin,
        end_utc=arguments.end,
        cameras=tuple(arguments.camera),
        states=() if arguments.latest else tuple(arguments.state),
        newest=None if arguments.latest else arguments.newest,
        topics=(FLASH_TOPIC,) if arguments.csv or arguments.latest else (),
    )
    kept: Iterable[JournalRecord] = read_history(arguments.journal, wanted)
    if arguments.latest:
        kept = _latest(kept, arguments.state)[-(arguments.newest or 0) :]
    if arguments.csv:
        _print_csv(kept)
    elif arguments.json:
        for one in kept:
            sys.stdout.buffer.write(one.body + b"\n")
        sys.stdout.buffer.flush()
    else:
        _print_lines(kept)
    return 0


def _latest(kept: Iterable[JournalRecord], states: list[str]) -> list[JournalRecord]:
    """Return the last revision of each flash, if its state is among `states` (or they are empty)."""
    last = {str(one.message.data.get("id")): one for one in kept}
    return [one for one in last.values() if not states or one.message.data.get("state") in states]


def _print_lines(kept: Iterable[JournalRecord]) -> None:

    lines = EventLines(result_console())
    count = 0
    for one in kept:
        lines.add(one.message)
        count += 1
    if not count:
        progress_console().print("no messages match")


def _print_csv(kept: Iterable[JournalRecord]) -> None:

    writer = csv.DictWriter(sys.stdout, ("sequence", "time", "revision", *CSV_COLUMNS))
    writer.writeheader()
    for one in kept:
        message = decode_flash_message(one.body)
        own = {"sequence": int(message.sequence), "time": message.time, "revision": message.data.revision}
        writer.writerow(own | csv_row(message.data))
