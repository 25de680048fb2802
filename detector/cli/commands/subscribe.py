"""Receive the events of one or more feeds: in order, each once, through restarts of either side.

Prints a line for each message, or with --json the message itself. Ends with Ctrl-C, --count or --seconds.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event

from detector.cli.console import progress_console, result_console
from detector.cli.exec_hook import EventCommand
from detector.cli.options import add_filter_arguments
from detector.cli.signals import stop_on_signals
from detector.cli.types import count_of, number_of, seconds_of
from detector.output.text import EventLines
from stream import Received, Subscriber, SubscriberNotice, SubscriberOptions, printable

Sink = Callable[[Received], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the feeds, the choice of messages, and what to do with them."""
    parser.add_argument("endpoints", nargs="+", metavar="ENDPOINT", help="a feed, e.g. tcp://127.0.0.1:5556")
    parser.add_argument("--json", action="store_true", help="print each message as a line of JSON, as it was published")
    parser.add_argument(
        "--since", type=number_of, metavar="N", help="start behind message N (0: everything kept); default: what comes"
    )
    parser.add_argument("--cursor", type=Path, metavar="FILE", help="keep the place here and go on from it next time")
    add_filter_arguments(parser)
    parser.add_argument(
        "--key", action="append", default=[], type=Path, metavar="FILE", help="client key: one for all, or one for each"
    )
    parser.add_argument("--exec", metavar="COMMAND", help="run this for each message, with its JSON on standard input")
    parser.add_argument(
        "--exec-seconds", type=seconds_of, default=30.0, metavar="S", help="time limit of one run (default: 30)"
    )
    parser.add_argument(
        "--exec-jobs", type=count_of, default=1, metavar="N", help="so many runs at a time (default: 1, in order)"
    )
    parser.add_argument("--count", type=count_of, metavar="N", help="end after N messages")
    parser.add_argument("--seconds", type=seconds_of, metavar="S", help="end after this time")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr about publishers coming and going")


def run(arguments: argparse.Namespace) -> int:
    """Receive until stopped; return 1 if --count messages did not come within --seconds, or an --exec run failed."""
    console = progress_console()

    def complain(text: str) -> None:
        console.print(printable(text), markup=False, soft_wrap=True)

    command = None
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals(Event()))
        if arguments.exec is not None:
            command = EventCommand(
                arguments.exec, limit_seconds=arguments.exec_seconds, jobs=arguments.exec_jobs, complain=complain
            )
            stack.enter_context(closing(command))
        subscriber = stack.enter_context(Subscriber(*arguments.endpoints, options=_options(arguments, complain)))
        sink = _sink(arguments, command)
        came = _receive(subscriber.receive, sink, stop.is_set, arguments)
    missed = arguments.count is not None and came < arguments.count and not stop.is_set()
    if missed:
        complain(f"{came} of {arguments.count} messages came within {arguments.seconds:g} s")
    if command is not None and command.failed:
        complain(f"{command.failed} of {came} runs of --exec failed")
    return int(missed or (command is not None and command.failed > 0))


def _receive(
    receive: Callable[[float], Received | None],
    sink: Sink,
    stopped: Callable[[], bool],
    arguments: argparse.Namespace,
) -> int:
    """Pass messages to `sink` until the end, and return how many came."""
    deadline = None if arguments.seconds is None else time.monotonic() + arguments.seconds
    came = 0
    while not stopped() and (arguments.count is None or came < arguments.count):
        left = 0.2 if deadline is None else min(0.2, deadline - time.monotonic())
        if left < 0:
            break
        received = receive(left)
        if received is not None:
            sink(received)
            came += 1
    return came


def _options(arguments: argparse.Namespace, complain: Callable[[str], None]) -> SubscriberOptions:

    def tell(notice: SubscriberNotice) -> None:
        if not arguments.quiet:
            complain(notice.text)

    return SubscriberOptions(
        since=arguments.since,
        cursor=arguments.cursor,
        cameras=tuple(arguments.camera),
        states=tuple(arguments.state),
        keys=tuple(arguments.key),
        on_notice=tell,
    )


def _sink(arguments: argparse.Namespace, command: EventCommand | None) -> Sink:
    """Return a function that handles each message."""
    if arguments.json:
        show: Sink = _print_json
    else:
        lines = EventLines(result_console())

        def show(received: Received) -> None:
            lines.add(received.message)

    def take(received: Received) -> None:
        show(received)
        if command is not None:
            future = command.run(f"message {received.sequence} ({received.message.subject})", received.body)
            if arguments.exec_jobs == 1:
                future.result()  # in order, so that the cursor is kept only after the command ran

    return take


def _print_json(received: Received) -> None:
    sys.stdout.buffer.write(received.body + b"\n")
    sys.stdout.buffer.flush()
