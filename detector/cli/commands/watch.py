"""Watch cameras for lightning and publish every flash on the event feed, until stopped.

Cameras are given as URLs (rtsp, rtsps, http), as devices (/dev/video0 or a number), or as [[camera]] tables of a
--config file (see configs/cameras.example.toml). A camera that goes away is taken up again as soon as it is back.
Given as URLs on the command line, at least one camera must answer at first, else the command ends and says why.
"""

import argparse
import logging
import sys
import time
from typing import TYPE_CHECKING

from detector.cli.commands.replay import print_event
from detector.cli.common import add_settings_arguments, progress_console, result_console, settings_tables
from detector.cli.outlet import add_feed_arguments, feed_options
from detector.cli.types import folder_of, seconds_of
from detector.cli.verifier_arguments import add_verifier_arguments, lay_verifier_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from detector.cli.progress import WatchDisplay
    from detector.output.printer import Printer
    from detector.run.cameras import CameraEntry
    from detector.run.session import Listener, Session
    from detector.run.watch import Station, WatchedCamera
    from detector.settings import Settings
    from stream import CameraStatus

_log = logging.getLogger("lightning-detector")

_LOOK_SECONDS = 0.5  # how often the status is drawn and the first answers are looked for
_LEAST_SHARE = 0.01  # of a picture: whoever watches less has made a mistake
_SAY_SECONDS = 600.0  # how often the log says that all is well


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Cameras, outputs, and how long."""
    parser.add_argument("cameras", nargs="*", metavar="URL", help="cameras to watch; or use --config with [[camera]]")
    parser.add_argument(
        "--out",
        type=folder_of,
        metavar="DIR",
        help="write flashes.jsonl, stills/ and clips/ there, and flashes.csv at the end, together with what an earlier "
        "watch wrote",
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
    parser.add_argument("--quiet", action="store_true", help="no status and no log lines below warnings on stderr")
    add_verifier_arguments(parser)
    add_feed_arguments(parser, always=True)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Watch until stopped; 1 if no camera ever answered, or --out lacks something."""
    from contextlib import ExitStack
    from threading import Event

    from detector.cli.log import log_to_stderr
    from detector.cli.progress import WatchDisplay
    from detector.cli.signals import stop_on_signals
    from detector.output.printer import Printer
    from detector.output.run_folder import Counts, RunFolder
    from detector.run.session import Session
    from detector.run.watch import Station

    settings, cameras = _settings_and_cameras(arguments)
    counts = Counts()
    # Lines of JSON and a moving display on one terminal would tear each other apart.
    hidden = arguments.quiet or (arguments.json and sys.stdout.isatty())
    display = WatchDisplay(progress_console(), result_console(), counts, hidden=hidden)
    told = feed_options(settings, arguments)
    only = told.endpoint is None and told.journal is None and arguments.out is None
    printer = Printer(print_event if arguments.json else _line_on(display), only=only)
    listeners: list[Listener] = [counts.add, printer.add]
    with ExitStack() as stack:
        log_to_stderr(quiet=arguments.quiet)
        stop = stack.enter_context(stop_on_signals(Event()))
        folder = None if arguments.out is None else stack.enter_context(RunFolder(arguments.out, keep_earlier=True))
        if folder is not None:
            listeners.append(folder.add)
        stack.enter_context(printer)
        session = stack.enter_context(Session(settings, arguments, listeners, arguments.out, stop))
        _log.info("%s", session.line)
        if folder is not None:
            folder.begin()
        session.close_left_open()
        names = [entry.name for entry in cameras]
        session.publish_system("started", names)
        stack.callback(session.publish_system, "stopped", names)
        stack.enter_context(display)
        station = stack.enter_context(Station(_watched(cameras, session), session.publish_camera))
        given_up = _watch(session, station, display, stop, arguments, printer)
        never_live = [worker.status for worker in station.workers if not worker.status.frames]
        if session.failure is not None:
            raise session.failure
    if given_up:
        # Why has been said as it happened; a summary would read like "no lightning".
        print("lightning-detector: no camera answered (to wait for them: --keep-trying)", file=sys.stderr)
        return 1
    for status in never_live:
        why = f" ({status.last_error})" if status.last_error else ""
        print(f"lightning-detector: {status.camera}: was never live{why}; nothing is known of it", file=sys.stderr)
    if len(never_live) == len(cameras):
        return 1
    if not arguments.quiet:
        progress_console().print(counts.summary())
    return 1 if session.lost_pictures or (folder is not None and folder.failure is not None) else 0


def _settings_and_cameras(arguments: argparse.Namespace) -> "tuple[Settings, tuple[CameraEntry, ...]]":
    """What was asked for, by the command line and by --config together."""
    from detector.errors import UsageError
    from detector.run.cameras import distinct_names, load_cameras

    named = [
        {"url": url, "name": name}
        for url, name in zip(arguments.cameras, distinct_names(arguments.cameras), strict=True)
    ]
    common, cameras = load_cameras([*settings_tables(arguments), ("command line", {"camera": named})])
    if not cameras:
        raise UsageError("no camera to watch: give a URL, or --config with [[camera]] tables")
    return lay_verifier_arguments(common, arguments), cameras


def _watched(cameras: "Sequence[CameraEntry]", session: "Session") -> "list[WatchedCamera]":
    """`cameras`, each with what finds its flashes."""
    from functools import partial

    from detector.run.watch import WatchedCamera

    for entry in cameras:
        if entry.watched_share < _LEAST_SHARE:
            share = f"{entry.watched_share:.1%}"
            _log.warning("%s: its mask and region leave %s of the picture; see what they cover", entry.name, share)
    return [
        WatchedCamera(
            entry.name,
            entry.address,
            entry.capture,
            partial(session.camera_detector, entry),
            session.history_seconds(entry.settings),
        )
        for entry in cameras
    ]


def _line_on(display: "WatchDisplay") -> "Listener":
    """Shows each flash as a short line."""
    from detector.output.run_folder import flash_line

    def listener(topic: str, _sequence: int, body: bytes) -> None:
        line = flash_line(topic, body)
        if line is not None:
            display.say(line)

    return listener


def _watch(
    session: "Session",
    station: "Station",
    display: "WatchDisplay",
    stop: "Event",
    arguments: argparse.Namespace,
    printer: "Printer",
) -> bool:
    """Show how the cameras do until the end; true if it ended because no camera ever answered."""
    started = said = time.monotonic()
    while not stop.wait(_LOOK_SECONDS) and session.failure is None:
        printer.check()
        statuses = [worker.status for worker in station.workers]
        display.show(statuses)
        now = time.monotonic()
        if arguments.seconds is not None and now - started >= arguments.seconds:
            return False
        to_be_waited_for = arguments.keep_trying or not arguments.cameras
        if not to_be_waited_for and all(s.state == "down" and not s.frames for s in statuses):
            return True
        if now - said >= _SAY_SECONDS:
            said = now
            _say_how_they_do(statuses)
    return False


def _say_how_they_do(statuses: "Sequence[CameraStatus]") -> None:
    for s in statuses:
        _log.info(
            "%s is %s: %d frames, %.1f a second, %d damaged, %d handled late, %d skipped, %d reconnects",
            s.camera,
            s.state,
            s.frames,
            s.fps,
            s.damaged,
            s.late,
            s.skipped,
            s.reconnects,
        )
