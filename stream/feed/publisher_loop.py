"""PublisherLoop: the work of a feed's thread. Number, commit, publish, answer, heartbeat."""

import logging
import time
from collections.abc import Callable
from typing import Any, Self

import zmq

from stream.feed.history_service import HistoryService
from stream.feed.journal import Journal, RelayPosition
from stream.feed.options import FeedCounters, FeedOptions
from stream.feed.protocol import Endpoint, parse_endpoint
from stream.feed.publisher_sockets import PublisherSockets, check_exposure
from stream.feed.sequencer import OutgoingMessage, Sequencer

_LOG = logging.getLogger("stream.feed")
_REQUESTS_PER_ROUND = 5  # then events come first again
_UPKEEP_SECONDS = 5.0
_DRAIN_HEARTBEATS = 5

OnMessage = Callable[[str, int, bytes], None]


class PublisherLoop:
    """Owns the journal and the sockets; made, used and closed in the feed's thread."""

    def __init__(
        self, options: FeedOptions, schema: dict[str, Any], on_message: OnMessage | None, counters: FeedCounters
    ) -> None:
        self._options = options
        self._schema = schema
        self._on_message = on_message
        self._counters = counters
        self._next_heartbeat = 0.0
        self._next_upkeep = 0.0

    def __enter__(self) -> Self:
        options = self._options
        endpoint = self._endpoint()
        journal = Journal(options.journal)
        self.feed = journal.feed
        self._journal = journal
        self._sequencer = Sequencer(journal, options.site)
        self._sockets: PublisherSockets | None = None
        try:
            if endpoint is not None:
                self._sockets = PublisherSockets(
                    endpoint, keys=options.keys, send_queue_messages=options.send_queue_messages
                )
        except BaseException:
            self._sequencer.close()
            raise
        if endpoint is not None and options.journal is None:
            _LOG.info(
                "%s: no journal: messages are kept in memory, the last %g MB of them, and a crash or a restart loses "
                "what subscribers have not fetched; give --journal FILE to keep them on disk",
                endpoint.events,
                options.retention.megabytes,
            )
        self.poller = self._sockets.poller if self._sockets else zmq.Poller()
        self._history = HistoryService(
            self._sequencer,
            site=options.site,
            heartbeat_seconds=options.heartbeat_seconds,
            schema=self._schema,
            requests_per_second=options.requests_per_second,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._sequencer.close()
        if self._sockets is not None:
            self._sockets.close()

    def _endpoint(self) -> Endpoint | None:
        if self._options.endpoint is None:
            return None
        endpoint = parse_endpoint(self._options.endpoint)
        check_exposure(endpoint, keys=self._options.keys, insecure=self._options.insecure)
        return endpoint

    def upstreams(self) -> list[RelayPosition]:
        """How far each other feed was relayed into this one."""
        return self._journal.upstreams()

    def wait(self, limit_seconds: float = 60.0) -> None:
        """Sleep until there is something to do."""
        now = time.monotonic()
        until = min(
            self._next_heartbeat if self._sockets else now + limit_seconds, self._next_upkeep, now + limit_seconds
        )
        self.poller.poll(max(0, int((until - now) * 1000) + 1))

    def step(self, messages: list[OutgoingMessage]) -> None:
        """One round: publish `messages`, answer some requests, heartbeat and look after the journal when it is time."""
        if messages:
            for wire in self._sequencer.add(messages):
                if self._sockets is not None:
                    self._sockets.publish(wire.frames())
                self._counters.published += 1
                if self._on_message is not None:
                    self._on_message(*wire)
        if self._sockets is not None:
            self._attend(self._sockets)
        if time.monotonic() >= self._next_upkeep:
            more = self._sequencer.upkeep(self._options.retention)
            self._next_upkeep = time.monotonic() + (0.05 if more else _UPKEEP_SECONDS)
        self._count()

    def drain(self) -> None:
        """Tell subscribers the last number, and give them time to fetch what they miss."""
        if self._sockets is None:
            return
        end = time.monotonic() + self._options.farewell_seconds
        while (now := time.monotonic()) < end:
            self._next_heartbeat = min(self._next_heartbeat, now + self._options.farewell_seconds / _DRAIN_HEARTBEATS)
            self.wait(end - now)
            self.step([])

    def _attend(self, sockets: PublisherSockets) -> None:
        sockets.attend()
        for frames in sockets.requests(_REQUESTS_PER_ROUND):
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
