"""The work of a publisher's thread: number, commit, publish, answer requests, send heartbeats."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import zmq

from stream.feed.history_service import HistoryService
from stream.feed.journal import Journal
from stream.feed.message import WireMessage
from stream.feed.options import FeedCounters, FeedOptions
from stream.feed.protocol import Endpoint, parse_endpoint
from stream.feed.publisher_sockets import PublisherSockets, check_exposure
from stream.feed.sequencer import OutgoingMessage, Sequencer

_LOG = logging.getLogger("stream.feed")
_REQUESTS_PER_STEP = 5  # then events come first again
_MAINTENANCE_SECONDS = 5.0
_MORE_TO_PRUNE_SECONDS = 0.05
_DRAIN_HEARTBEATS = 5

OnMessage = Callable[[WireMessage], None]


class PublisherLoop:
    """Own the journal and the sockets of a publisher; made, used and closed in its thread.

    Args:
        options: how to publish.
        schema: JSON Schema of the messages, for clients that ask.
        on_message: called with each message after it was published.
        counters: what is counted here.

    Attributes:
        feed: the journal's id.
        upstreams: how far each other feed was relayed into this one before the start.
        poller: wakes `wait`; further sockets may be registered.

    Raises:
        FeedError: the endpoint is wrong, taken, or open to others without keys.
        JournalError: the journal cannot be opened, or another publisher has it.
    """

    def __init__(
        self, options: FeedOptions, schema: dict[str, Any], on_message: OnMessage | None, counters: FeedCounters
    ) -> None:
        self._options = options
        self._on_message = on_message
        self._counters = counters
        self._next_heartbeat = 0.0
        self._next_maintenance = 0.0
        endpoint = _endpoint(options)
        with ExitStack() as stack:
            journal = stack.enter_context(closing(Journal(options.journal)))
            self.feed = journal.feed
            self.upstreams = journal.upstreams()
            self._sequencer = stack.enter_context(closing(Sequencer(journal, options.site)))
            self._sockets: PublisherSockets | None = None
            if endpoint is not None:
                self._sockets = PublisherSockets(
                    endpoint, keys=options.keys, send_queue_messages=options.send_queue_messages
                )
                stack.callback(self._sockets.close)
            self._stack = stack.pop_all()
        self.poller = self._sockets.poller if self._sockets else zmq.Poller()
        self._history = HistoryService(
            self._sequencer,
            site=options.site,
            heartbeat_seconds=options.heartbeat_seconds,
            schema=schema,
            requests_per_second=options.requests_per_second,
        )
        if endpoint is not None and options.journal is None:
            _LOG.info(
                "%s: no journal: messages are kept in memory, the last %g MB of them, and a crash or a restart loses "
                "what subscribers have not fetched; give --journal FILE to keep them on disk",
                endpoint.events,
                options.retention.megabytes,
            )

    def close(self) -> None:
        """Close the sockets and the journal; a second call does nothing."""
        self._stack.close()

    def wait(self, limit_seconds: float = 60.0) -> None:
        """Sleep until there is something to do, at most `limit_seconds`."""
        now = time.monotonic()
        due = min(now + limit_seconds, self._next_maintenance)
        if self._sockets is not None:
            due = min(due, self._next_heartbeat)
        self.poller.poll(max(0, int((due - now) * 1000) + 1))

    def step(self, messages: list[OutgoingMessage]) -> None:
        """Publish `messages`, answer some requests, and do what is due: heartbeat, journal maintenance."""
        if messages:
            for wire in self._sequencer.add(messages):
                if self._sockets is not None:
                    self._sockets.publish(wire.frames())
                self._counters.published += 1
                if self._on_message is not None:
                    self._on_message(wire)
        if self._sockets is not None:
            self._serve(self._sockets)
        if time.monotonic() >= self._next_maintenance:
            more = self._sequencer.maintain(self._options.retention)
            self._next_maintenance = time.monotonic() + (_MORE_TO_PRUNE_SECONDS if more else _MAINTENANCE_SECONDS)
        self._count()

    def drain(self) -> None:
        """Send the last number in heartbeats for `farewell_seconds`, so that subscribers can fetch what they miss."""
        if self._sockets is None:
            return
        end = time.monotonic() + self._options.farewell_seconds
        while (now := time.monotonic()) < end:
            self._next_heartbeat = min(self._next_heartbeat, now + self._options.farewell_seconds / _DRAIN_HEARTBEATS)
            self.wait(end - now)
            self.step([])

    def _serve(self, sockets: PublisherSockets) -> None:
        sockets.handle_connections()
        for frames in sockets.requests(_REQUESTS_PER_STEP):
            reply = self._history.answer(frames, time.time())
            if reply is not None and not sockets.reply(reply):
                self._counters.replies_unread += 1
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + self._options.heartbeat_seconds
            sockets.refresh_allowed()
            self._sequencer.recover()
            sockets.publish(self._history.heartbeat(time.time()))

    def _count(self) -> None:
        counters = self._counters
        if self._sockets is not None:
            counters.connections_refused = dict(self._sockets.refusals.counts)
        counters.not_durable = self._sequencer.not_durable
        counters.pruned = self._sequencer.pruned
        counters.requests_answered = self._history.answered
        counters.requests_refused = self._history.refused
        counters.requests_dropped = self._history.dropped


def _endpoint(options: FeedOptions) -> Endpoint | None:
    if options.endpoint is None:
        return None
    endpoint = parse_endpoint(options.endpoint)
    check_exposure(endpoint, keys=options.keys, insecure=options.insecure)
    return endpoint
