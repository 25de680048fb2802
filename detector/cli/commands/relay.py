"""Merge feeds into one: receive several, publish all of it again with numbers and a journal of its own.

Every event keeps its id, source and time, and says which feed it comes from and its number there (originfeed,
originsequence). Killed and started again, the relay goes on where its journal ends: nothing twice, nothing missing.
"""

import argparse
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event

from detector.cli.console import progress_console
from detector.cli.log import log_to_stderr
from detector.cli.options import add_publish_arguments, add_settings_arguments, publish_options, settings_of
from detector.cli.signals import stop_on_signals
from detector.cli.types import seconds_of, site_of
from detector.errors import UsageError
from detector.events import event_schema
from detector.run.schemas import data_schemas
from detector.run.site_storms import SiteStorms
from detector.run.status import SiteStatuses
from stream import Cursor, Heartbeat, Publisher, Received, RelayPosition, Subscriber, SubscriberOptions, parse_endpoint

_BACKLOG = 5000  # messages queued for the journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the feeds to receive and where to publish."""
    parser.add_argument("endpoints", nargs="+", metavar="ENDPOINT", help="the feeds to merge")
    parser.add_argument(
        "--key", action="append", default=[], type=Path, metavar="FILE", help="client key: one for all, or one for each"
    )
    parser.add_argument(
        "--storms",
        type=site_of,
        metavar="NAME",
        help="also tell, as site NAME, of the storms and groups that the cameras of all feeds together see",
    )
    parser.add_argument("--seconds", type=seconds_of, metavar="S", help="end after this time")
    add_publish_arguments(parser, always=False)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Relay until stopped."""
    settings = settings_of(arguments)
    sites = SiteStatuses(settings.feed.site)
    options = replace(publish_options(settings, arguments), status=sites.tell)
    if options.endpoint is None or options.journal is None:
        raise UsageError("relay: needs --publish ENDPOINT and --journal FILE: where to, and how far it has come")
    own = [endpoint for endpoint in arguments.endpoints if _is_at(endpoint, options.endpoint)]
    if own:
        raise UsageError(f"relay: {own[0]} is where --publish {options.endpoint} will be; name the feeds to merge")
    log_to_stderr()
    deadline = None if arguments.seconds is None else time.monotonic() + arguments.seconds
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals(Event()))
        feed = stack.enter_context(Publisher(options, event_schema(), data_schemas=data_schemas()))
        subscriber = stack.enter_context(
            Subscriber(*arguments.endpoints, options=_where_it_ended(feed, arguments.key, sites))
        )
        storms = None
        if arguments.storms is not None:
            storms = SiteStorms(feed, settings, options.journal, arguments.storms)
            storms.resume_live()
        relay(subscriber, feed, stop, deadline, storms)
    progress_console().print(f"relayed {feed.counters.published} messages")
    return 0


def relay(
    subscriber: Subscriber,
    feed: Publisher,
    stop: Event,
    deadline: float | None,
    storms: SiteStorms | None = None,
    left_out: tuple[str, ...] = (),
) -> None:
    """Publish on `feed` the messages that `subscriber` receives.

    Args:
        subscriber: receives the feeds.
        feed: publishes the messages.
        stop: ends the relay once set.
        deadline: end in monotonic seconds, if any.
        storms: makes storms and groups of the messages, if given.
        left_out: first letters of topics that are not published.

    Raises:
        FeedError: `feed` has ended.
    """
    while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
        received = subscriber.receive(0.2)
        if received is not None:
            if not received.topic.startswith(left_out):
                _carry_on(received, feed)
            if storms is not None:
                storms.relayed(received.topic, received.message)
        if storms is not None:
            storms.step()
        feed.check()
        while feed.backlog > _BACKLOG and not stop.wait(0.02):
            feed.check()  # the disk is slow: further messages wait at their publisher


def cursors_of(feed: Publisher) -> dict[str, Cursor]:
    """Return how far each feed was relayed into the journal of `feed` before it started."""
    return {upstream.feed: Cursor(upstream.run or None, upstream.sequence) for upstream in feed.upstreams}


def _is_at(endpoint: str, published: str) -> bool:
    """Return whether `endpoint` is the one that this program will publish on."""
    one, own = parse_endpoint(endpoint), parse_endpoint(published)
    here = one.loopback and (own.loopback or own.everywhere)
    return one.port == own.port and (one.host == own.host or here)


def _where_it_ended(feed: Publisher, keys: list[Path], sites: SiteStatuses) -> SubscriberOptions:
    """Continue after the journal's last message of each feed, and at the first message of unknown feeds."""

    def heard(_endpoint: str, heartbeat: Heartbeat) -> None:
        if isinstance(heartbeat.status, dict):
            sites.heard(heartbeat.status)

    return SubscriberOptions(since=0, cursors=cursors_of(feed), keys=tuple(keys), on_heartbeat=heard)


def _carry_on(received: Received, feed: Publisher) -> None:

    message = received.message
    feed.relay(received.topic, message, RelayPosition(message.feed, received.cursor.run or "", received.sequence))
