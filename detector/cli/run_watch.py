"""The command `watch`, from its flags to its last line."""

import argparse
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from pathlib import Path
from threading import Event

from detector.cli.console import progress_console, result_console
from detector.cli.log import log_to_stderr
from detector.cli.options import (
    lay_verifier_arguments,
    publish_options,
    settings_tables,
    warn_of_unasked_model,
)
from detector.cli.progress import WatchDisplay
from detector.cli.signals import stop_on_signals
from detector.errors import SettingsError, UsageError
from detector.output.local_time import site_zone
from detector.output.printer import EventPrinter, print_event
from detector.output.run_folder import RunFolder
from detector.output.tables import FlashCounter
from detector.output.text import flash_line
from detector.run.allocator import share_arenas
from detector.run.cameras import CameraEntry, distinct_names, load_cameras
from detector.run.reload import camera_identity
from detector.run.service import ServiceOptions, WatchService
from detector.run.session import Listener, Session, open_session
from detector.run.settings_lines import with_line
from detector.run.snapshots import Snapshots
from detector.run.watch import CameraPool, CameraSpec
from detector.settings import Settings
from stream import CameraStatus, FeedOptions, WireMessage, printable

_log = logging.getLogger("lightning-detector")

_LOOK_SECONDS = 0.5  # between two updates of the status and checks for first answers
_LEAST_SHARE = 0.01  # of a frame; a smaller watched share is a mistake
_SAY_SECONDS = 600.0  # between two status lines in the log


def run_watch(arguments: argparse.Namespace) -> int:
    """Watch until stopped; return 1 if no camera ever answered, or --out is incomplete."""
    share_arenas()
    settings, cameras = settings_and_cameras(arguments)
    counter = FlashCounter()
    # Lines of JSON and a moving display on one terminal would overwrite each other.
    hidden = arguments.quiet or (arguments.json and sys.stdout.isatty())
    display = WatchDisplay(progress_console(), result_console(), counter, hidden=hidden)
    publish = publish_options(settings, arguments)
    options = ServiceOptions(
        out=arguments.out,
        journal=publish.journal,
        page=_page_arguments(arguments, settings, publish),
        read=partial(settings_and_cameras, arguments),
        specs=_specs,
    )
    service = WatchService(settings, cameras, options)
    publish = replace(publish, status=service.status.tell)
    only = publish.endpoint is None and publish.journal is None and arguments.out is None
    printer = EventPrinter(print_event if arguments.json else line_on(display, site_zone(settings.site)), only=only)
    listeners: list[Listener] = [counter.add, printer.add]
    with ExitStack() as stack:
        log_to_stderr(quiet=arguments.quiet)
        stop = stack.enter_context(stop_on_signals(Event(), service.reload))
        _obey_stdin(arguments, stop, service.reload)
        folder = (
            None
            if arguments.out is None
            else stack.enter_context(closing(RunFolder(arguments.out, keep_earlier=True, by_month=True)))
        )
        if folder is not None:
            listeners.append(folder.add)
        stack.enter_context(printer.running())
        session = stack.enter_context(open_session(settings, publish, listeners, out=arguments.out, stop=stop))
        warn_of_unasked_model(arguments, session.verifier_name, asks_model=session.asks_model)
        _log.info("%s", session.line)
        if folder is not None:
            folder.begin()
        session.storms.resume_live()
        if publish.journal is not None:
            session.publish_unresolved(publish.journal)
        session.publish_system("started", service.names)
        stack.callback(lambda: session.publish_system("stopped", service.names))
        stack.enter_context(display.shown())
        pool = stack.enter_context(service.running(session))

        def step() -> None:
            printer.check()
            session.storms.step()
            service.step()

        given_up = _watch(session, pool, display, stop, arguments, step)
        last = [worker.status for worker in pool.workers]
        never_live = [status for status in last if not status.frames]
        if session.failure is not None:
            raise session.failure
    if given_up:
        # The reason was logged when it happened; a summary would look like "no lightning".
        print("lightning-detector: no camera answered (to wait for them: --keep-trying)", file=sys.stderr)
        return 1
    for status in never_live:
        why = f" ({printable(status.last_error)})" if status.last_error else ""
        print(f"lightning-detector: {status.camera}: was never live{why}; nothing is known of it", file=sys.stderr)
    if len(never_live) == len(pool.workers):
        return 1
    if not arguments.quiet:
        display.close(last)
        progress_console().print(counter.summary())
    return 1 if session.lost_media or (folder is not None and folder.failure is not None) else 0


def settings_and_cameras(arguments: argparse.Namespace) -> tuple[Settings, tuple[CameraEntry, ...]]:
    """Return the settings and cameras of command line and --config together."""
    named = [
        {"url": url, "name": name}
        for url, name in zip(arguments.cameras, distinct_names(arguments.cameras), strict=True)
    ]
    try:
        common, cameras = load_cameras([*settings_tables(arguments), ("command line", {"camera": named})])
    except SettingsError as error:
        raise with_line(error, arguments.config) from error
    if not cameras and not arguments.until_stdin_closes:
        raise UsageError("no camera to watch: give a URL, or --config with [[camera]] tables")
    return lay_verifier_arguments(common, arguments), cameras


def _obey_stdin(arguments: argparse.Namespace, stop: Event, reload: Event) -> None:
    """With --until-stdin-closes, read the cameras again at each line of the standard input, and stop at its end."""

    def obey() -> None:
        for _ in sys.stdin.buffer:
            reload.set()
        stop.set()

    if arguments.until_stdin_closes:
        threading.Thread(target=obey, name="stdin", daemon=True).start()


def _page_arguments(arguments: argparse.Namespace, settings: Settings, publish: FeedOptions) -> list[str] | None:
    """Return the arguments of the page for `--page`; None without it."""
    if arguments.page is None:
        return None
    if publish.endpoint is None:
        raise UsageError("--page: nothing is published that the page could read; leave out --publish none")
    if publish.keys is not None and not settings.page.key:
        raise UsageError(
            "--page: the feed has keys; make one for the page (lightning-detector keys client) and name its file in "
            "page.key of the settings"
        )
    words = [publish.endpoint, "--listen", arguments.page or settings.page.listen]
    words += ["--key", str(Path(settings.page.key).expanduser())] if publish.keys is not None else []
    words += ["--out", str(arguments.out)] if arguments.out is not None else []
    words += ["--config", str(arguments.config)] if arguments.config is not None else []
    words += [word for origin, _ in arguments.overrides for word in origin.split(" ", 1)]
    return words


def _specs(cameras: Sequence[CameraEntry], session: Session, snapshots: Snapshots | None) -> list[CameraSpec]:
    """Return the specifications of `cameras`, each with its detector."""
    for entry in cameras:
        if entry.watched_share < _LEAST_SHARE:
            share = f"{entry.watched_share:.1%}"
            _log.warning("%s: its mask and region leave %s of the frame; see what they cover", entry.name, share)
    return [
        CameraSpec(
            entry.name,
            entry.address,
            entry.capture,
            partial(session.camera_detector, entry),
            session.history_seconds(entry.settings),
            on_frame=None if snapshots is None else snapshots.camera(entry.name),
            identity=camera_identity(entry),
        )
        for entry in cameras
    ]


def line_on(display: WatchDisplay, zone: tzinfo | None) -> Listener:
    """Return a listener that shows each flash as a short line."""

    def listener(message: WireMessage) -> None:
        line = flash_line(message, zone)
        if line is not None:
            display.say(line)

    return listener


def _watch(
    session: Session,
    pool: CameraPool,
    display: WatchDisplay,
    stop: Event,
    arguments: argparse.Namespace,
    step: Callable[[], None],
) -> bool:
    """Show the state of the cameras until the end; `step` is called twice a second.

    Returns:
        whether it ended because no camera ever answered.
    """
    started = said = time.monotonic()
    while not stop.wait(_LOOK_SECONDS) and session.failure is None:
        step()
        statuses = [worker.status for worker in pool.workers]
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


def _say_how_they_do(statuses: Sequence[CameraStatus]) -> None:
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
