"""Find the lightning in recorded video: files, or folders of files.

Prints a table of the flashes, or with --json one event a line as the feed carries it. Files are watched in order, as
fast as they decode; a file that breaks off still has the flashes before the break reported.
"""

import argparse
import sys
from contextlib import ExitStack, closing
from functools import partial
from threading import Event

from detector.cli.console import progress_console, result_console
from detector.cli.log import log_to_stderr
from detector.cli.options import (
    add_publish_arguments,
    add_settings_arguments,
    add_verifier_arguments,
    lay_verifier_arguments,
    publish_options,
    settings_of,
    warn_of_unasked_model,
)
from detector.cli.progress import ReplayProgress, stopped_line, summary_line
from detector.cli.signals import stop_on_signals
from detector.cli.types import count_of, folder_of, recording_at, seconds_of, start_of
from detector.errors import UsageError
from detector.output.printer import print_event
from detector.output.run_folder import RunFolder
from detector.output.tables import FlashTable
from detector.pipeline import SourceDetector
from detector.run.recordings import find_videos, join_segments
from detector.run.replay import AnyVideo, ReplayOptions, replay_files
from detector.run.session import Session, open_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs, outputs, and how to replay."""
    parser.add_argument(
        "inputs",
        nargs="+",
        type=recording_at,
        metavar="FILE|FOLDER|URL|-",
        help="video files, folders with video or with images, recordings on a web server (also HLS), - for stdin",
    )
    parser.add_argument(
        "--out",
        type=folder_of,
        metavar="DIR",
        help="write flashes.jsonl, stills/ and clips/ there, and flashes.csv at the end; refused where flashes are",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="with --out: remove the flashes of an earlier run there, stills and clips too, when this one begins",
    )
    parser.add_argument("--json", action="store_true", help="print each event as a line of JSON instead of the table")
    parser.add_argument("--realtime", action="store_true", help="replay at the video's own pace, as a camera would")
    parser.add_argument(
        "--follow",
        type=seconds_of,
        metavar="S",
        help="the files are still being written: wait at the end for more, until none came for S seconds",
    )
    parser.add_argument(
        "--start",
        type=start_of,
        metavar="UTC",
        help="when the first frame of the one file was taken, e.g. 2026-11-22T21:29:03.5Z; otherwise its creation "
        "time, if any",
    )
    parser.add_argument(
        "--stream",
        type=count_of,
        metavar="N",
        help="watch the Nth video stream of each file alone (default: all that differ, as NAME-1, NAME-2)",
    )
    parser.add_argument(
        "--joined",
        action="store_true",
        help="read the segments of a recorder as one recording: files of one folder that follow each other by the "
        "times in their names, or by their numbers",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    add_verifier_arguments(parser)
    add_publish_arguments(parser, always=False)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay, and say what was found; 1 if a file could not be watched to its end or a result not be written."""
    log_to_stderr(quiet=arguments.quiet)
    settings = lay_verifier_arguments(settings_of(arguments), arguments)
    if arguments.overwrite and arguments.out is None:
        raise UsageError("--overwrite: without --out nothing is written; give the folder, or leave out --overwrite")
    folder = None if arguments.out is None else RunFolder(arguments.out, overwrite=arguments.overwrite)
    recordings = find_videos(arguments.inputs, () if folder is None else folder.clips)
    if arguments.joined:
        recordings = join_segments(recordings, settings.capture)
    count = len(recordings)
    if arguments.start is not None and count > 1:
        raise UsageError(
            f"--start is the time of one file, but there are {count}: replay each with a --start of its own"
        )
    table = FlashTable()
    console = progress_console()
    listeners = [table.add, *([print_event] if arguments.json else [])]
    with ExitStack() as stack:
        if folder is not None:
            listeners.append(stack.enter_context(closing(folder)).add)
        stop = stack.enter_context(stop_on_signals(Event()))
        publish = publish_options(settings, arguments)
        session = stack.enter_context(open_session(settings, publish, listeners, out=arguments.out, stop=stop))
        warn_of_unasked_model(arguments, session.verifier_name, asks_model=session.asks_model)
        # Lines of JSON and a moving bar on one terminal would tear each other apart.
        hidden = arguments.quiet or (arguments.json and sys.stdout.isatty())
        progress = stack.enter_context(ReplayProgress(console, count, table, quiet=hidden).shown())
        if not arguments.quiet:
            console.print(session.line, style="dim", soft_wrap=True)
        history = session.history_seconds(settings)
        options = ReplayOptions(
            settings.capture, arguments.realtime, arguments.start, history, arguments.follow, arguments.stream
        )
        outcome = replay_files(recordings, partial(_file_detector, session, folder), options, progress, stop)
        session.drain()
    if not arguments.json and table.found:
        results = result_console()
        results.print(table.table(results.width))
    problems = len(outcome.problems)
    said = []
    # "No flashes" is said only of what was watched: a failure must not read like a quiet night.
    if not arguments.quiet and (problems < outcome.tried or table.counts):
        told = arguments.json or arguments.out is not None
        said.append(summary_line(table, outcome.tried, progress.watched_seconds, broken=problems, told=told))
    if outcome.stopped:
        said.append(stopped_line(outcome.tried, count, progress.reached))
    if said:
        console.print("; ".join(said), soft_wrap=True)
    not_written = session.lost_media or (folder is not None and folder.failure is not None)
    return 1 if problems or not_written else 0


def _file_detector(
    session: Session, folder: RunFolder | None, camera: str, file: str, video: AnyVideo
) -> SourceDetector:
    """Return what finds the flashes of one file; the run's folder is made once there is something to watch."""
    if folder is not None:
        folder.begin()
    return session.file_detector(camera, file, video)
