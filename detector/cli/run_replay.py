"""The command `replay`, from its flags to its last line."""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, TextIO

import msgspec
from rich.text import Text

from detector.cli.console import progress_console, result_console
from detector.cli.log import log_to_stderr
from detector.cli.options import (
    lay_verifier_arguments,
    publish_options,
    settings_of,
    warn_of_unasked_model,
)
from detector.cli.progress import ReplayProgress, stopped_line, summary_line
from detector.cli.signals import stop_on_signals
from detector.cli.types import StartTime, unzoned_words
from detector.errors import UsageError
from detector.events import FLASH_TOPIC
from detector.output.local_time import site_zone
from detector.output.printer import print_event
from detector.output.tables import FlashTable
from detector.output.text import plural
from detector.pipeline import SourceDetector
from detector.run.at_once import LOCAL, ClusterOptions, usable_cores
from detector.run.recordings import STANDARD_INPUT, Recording, find_videos, join_segments
from detector.run.replay import AnyVideo, Outcome, ReplayOptions, replay_files
from detector.run.replay_results import ReplayResults, replay_results
from detector.run.run_record import Plan
from detector.run.session import Session, open_session
from detector.settings import Settings
from stream import WireMessage, hardware_kind, printable

if TYPE_CHECKING:
    from detector.cli.jobs_progress import ManyFilesProgress

_log = logging.getLogger("lightning-detector")


def run_replay(arguments: argparse.Namespace) -> int:
    """Replay, print the result, and return 1 if a file could not be read to its end or a result not be written."""
    log_to_stderr(quiet=arguments.quiet)
    settings = lay_verifier_arguments(settings_of(arguments), arguments)
    results = _results_of(arguments, settings)
    recordings = find_videos(arguments.inputs, () if results is None else results.folder.clips, arguments.out)
    if arguments.joined:
        recordings = join_segments(recordings, settings.capture)
    plan = Plan(recordings) if results is None else results.plan(recordings)
    recordings, skipped, count = plan.recordings, plan.skipped, len(plan.recordings)
    at_once = _at_once(arguments, recordings)
    zone = site_zone(settings.site)
    _check_start(arguments.start, count, zone)
    table = FlashTable(zone)
    console = progress_console()
    listeners = [table.add, *([_print_flash] if arguments.json else [])]
    with ExitStack() as stack:
        if results is not None:
            listeners.append(stack.enter_context(closing(results.folder)).add)
        stop = stack.enter_context(stop_on_signals(Event()))
        publish = publish_options(settings, arguments)
        session = stack.enter_context(open_session(settings, publish, listeners, out=arguments.out, stop=stop))
        warn_of_unasked_model(arguments, session.verifier_name, asks_model=session.asks_model)
        if results is not None:
            results.log.record.verifier, session.run = session.line, results.log.record.run
            session.storms.resume_replay(results.earlier_flashes(plan))
        # Lines of JSON and a moving bar on one terminal would overwrite each other.
        hidden = arguments.quiet or (arguments.json and sys.stdout.isatty())
        if not arguments.quiet:
            console.print(session.line, style="dim", soft_wrap=True)
        history = session.history_seconds(settings)
        # Found out here: each of many processes would say it.
        hardware = hardware_kind(settings.capture.hwaccel)
        options = ReplayOptions(
            msgspec.structs.replace(settings.capture, hwaccel=hardware),
            arguments.realtime,
            arguments.start,
            history,
            arguments.follow,
            arguments.stream,
        )
        run = ReplayRun(session, results, recordings, options, stop)
        progress: ReplayProgress | ManyFilesProgress
        if at_once == 1:
            progress = stack.enter_context(ReplayProgress(console, count, table, quiet=hidden).shown())
            outcome, lost_by_workers = _replay_in_turn(run, progress), 0
        else:
            many = import_module("detector.cli.replay_at_once")  # loaded now: most replays do without
            run = many.as_watched(run, settings, arguments.split_minutes)
            progress = stack.enter_context(many.shown_progress(run, table, quiet=hidden))
            outcome, lost_by_workers = many.replay_at_once(run, settings, arguments.out, at_once, progress)
        session.drain()
    if not arguments.json and table.found:
        stdout = result_console()
        stdout.print(table.table(stdout.width))
    told = None if arguments.quiet else arguments.json or arguments.out is not None
    _say_what_came_of_it(table, outcome, progress, told=told, count=count, skipped=skipped)
    failed = session.lost_media + lost_by_workers > 0
    if results is not None:
        failed |= _end_results(results, sys.stderr if arguments.json else sys.stdout)
    return 1 if outcome.problems or failed else 0


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """The recordings of a replay, its options, and the receivers of its results."""

    session: Session
    results: ReplayResults | None
    recordings: list[Recording]
    options: ReplayOptions
    stop: Event

    @property
    def finished(self) -> Callable[[Recording, str | None], None]:
        """A function that notes a finished file."""
        return _not_told if self.results is None else self.results.finish


def _replay_in_turn(run: ReplayRun, progress: ReplayProgress) -> Outcome:
    watching = partial(_file_detector, run.session, run.results, {one.name: one for one in run.recordings})
    return replay_files(run.recordings, watching, run.options, progress, run.stop, run.finished)


def _check_start(start: StartTime | None, count: int, zone: tzinfo | None) -> None:
    """Refuse `--start` for several files, and log how it was read if it has no zone."""
    if start is None:
        return
    if count > 1:
        raise UsageError(
            f"--start is the time of one file, but there are {count}: replay each with a --start of its own"
        )
    if not start.zoned:
        _log.warning("%s", unzoned_words("--start", start, zone))


def _at_once(arguments: argparse.Namespace, recordings: list[Recording]) -> int | ClusterOptions:
    """Return how many files are watched at once by processes here, or the cluster that does the work."""
    from_stdin = any(one.source == STANDARD_INPUT for one in recordings)
    split = arguments.split_minutes is not None
    if split and arguments.engine != "ray" and arguments.jobs in (None, 1):
        raise UsageError("--split-minutes: parts are watched at once; add --jobs or --engine ray")
    if arguments.engine == "ray":
        flag = "-" if from_stdin else "--follow" if arguments.follow is not None else None
        if flag is not None:
            raise UsageError(f"{flag}: is read by one process; leave out --engine ray, or {flag}")
        return ClusterOptions(arguments.address or LOCAL, arguments.jobs or 0)
    if arguments.address is not None:
        raise UsageError(f"--address {arguments.address}: add --engine ray")
    jobs = (1 if arguments.jobs is None else arguments.jobs) or usable_cores()
    if not split:
        jobs = min(jobs, max(1, len(recordings)))
    if jobs > 1 and from_stdin:
        raise UsageError("--jobs: standard input is read by one process; leave out --jobs, or -")
    return jobs


def _say_what_came_of_it(
    table: FlashTable,
    outcome: Outcome,
    progress: "ReplayProgress | ManyFilesProgress",
    *,
    told: bool | None,
    count: int,
    skipped: int,
) -> None:
    """Print the result (unless `told` is None), and what was left out or failed."""
    console = progress_console()
    problems, said = len(outcome.problems), []
    # "No flashes" is printed only for replayed files: a failure must not look like a quiet night.
    if told is not None and (problems < outcome.tried or table.counts):
        said.append(summary_line(table, outcome.tried, progress.watched_seconds, broken=problems, told=told))
    if outcome.stopped:
        said.append(stopped_line(outcome.tried, count, progress.reached))
    if skipped:
        said.append(f"{plural(skipped, 'file')} of an earlier run skipped")
    if said:
        console.print("; ".join(said), soft_wrap=True)
    if problems and count > 1:
        lines = ["not watched to the end:", *(f"  {printable(problem)}" for problem in outcome.problems)]
        console.print(Text("\n".join(lines)), soft_wrap=True)


def _end_results(results: ReplayResults, where: TextIO) -> bool:
    """Write the report, print its path, and return whether a result is missing."""
    ended = results.end()
    if ended is None:
        return False
    line, failure = ended
    if failure is not None and failure is not results.folder.failure:
        print(f"lightning-detector: {printable(failure)}", file=sys.stderr)
    print(line, file=where)
    return failure is not None


def _results_of(arguments: argparse.Namespace, settings: Settings) -> ReplayResults | None:
    """Return the results for --out and related flags; None without --out."""
    modes = [name for name in ("overwrite", "resume", "add") if getattr(arguments, name)]
    if len(modes) > 1:
        raise UsageError(f"--{modes[0]} and --{modes[1]} exclude each other: give one of them")
    if arguments.out is not None:
        return replay_results(arguments.out, settings, **dict.fromkeys(modes, True))
    if modes:
        raise UsageError(f"--{modes[0]}: without --out nothing is written; give the folder, or leave out --{modes[0]}")
    return None


def _print_flash(message: WireMessage) -> None:
    """Print a flash; storms and groups are in the feed, the journal and the report."""
    if message.topic.startswith(FLASH_TOPIC):
        print_event(message)


def _not_told(_recording: Recording, _problem: str | None) -> None:
    """Ignore a finished file."""


def _file_detector(
    session: Session,
    results: ReplayResults | None,
    recordings: Mapping[str, Recording],
    camera: str,
    file: str,
    video: AnyVideo,
) -> SourceDetector:
    """Return the detector of one file."""
    if results is not None:
        results.begin(recordings[file], camera)
    return session.file_detector(camera, file, video)
