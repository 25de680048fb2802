"""The thread that receives one feed for the page."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream import Backoff, Cursor, FeedError, Heartbeat, Received, Subscriber, SubscriberNotice, SubscriberOptions

_log = logging.getLogger(__name__)

HISTORY_MESSAGES = 5000
"""Earlier messages to read at the start: a night of storm, 10 MB."""
_POLL_SECONDS = 0.5


class FeedReader:
    """Read one endpoint, beginning with some earlier messages, and pass everything on.

    Args:
        endpoint: the feed.
        key: client key file, if the feed has keys.
        on_begin: called with endpoint, feed and its last number before the first message.
        on_message: called with each message.
        on_heartbeat: called with the endpoint and each heartbeat.
        on_trouble: called with the endpoint and why it cannot be received; None once it can.

    All callbacks are called in this object's thread.
    """

    def __init__(
        self,
        endpoint: str,
        key: Path | None,
        *,
        on_begin: Callable[[str, str, int], None],
        on_message: Callable[[Received], None],
        on_heartbeat: Callable[[str, Heartbeat], None],
        on_trouble: Callable[[str, str | None], None],
    ) -> None:
        self.endpoint = endpoint
        self._keys = () if key is None else (key,)
        self._on_begin, self._on_message = on_begin, on_message
        self._on_heartbeat, self._on_trouble = on_heartbeat, on_trouble
        self._stop = threading.Event()
        self._first: Heartbeat | None = None
        self._thread = threading.Thread(target=self._run, name=f"feed {endpoint}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        backoff = Backoff(1.0, 30.0)
        while not self._stop.is_set():
            try:
                first = self._find_out()
                if first is not None:
                    self._on_begin(self.endpoint, first.feed, first.last)
                    self._listen(first)
                    return
            except FeedError as error:
                _log.warning("%s", error)
                self._on_trouble(self.endpoint, str(error))
            self._stop.wait(backoff.next_wait())

    def _find_out(self) -> Heartbeat | None:
        """Wait for the first heartbeat, which contains the state of the feed."""
        with Subscriber(self.endpoint, options=self._options(on_heartbeat=self._note_first)) as events:
            while self._first is None and not self._stop.is_set():
                events.receive(_POLL_SECONDS)
        return self._first

    def _listen(self, first: Heartbeat) -> None:
        start = max(first.first - 1, first.last - HISTORY_MESSAGES, 0)
        options = self._options(
            since=0, cursors={first.feed: Cursor(first.run, start)}, on_heartbeat=self._on_heartbeat
        )
        with Subscriber(self.endpoint, options=options) as events:
            while not self._stop.is_set():
                received = events.receive(_POLL_SECONDS)
                if received is not None:
                    self._on_message(received)

    def _note_first(self, _endpoint: str, heartbeat: Heartbeat) -> None:
        self._first = self._first or heartbeat

    def _options(self, **more: Any) -> SubscriberOptions:
        return SubscriberOptions(keys=self._keys, on_notice=self._notice, **more)

    def _notice(self, notice: SubscriberNotice) -> None:
        _log.info("%s", notice.text)
        if notice.kind in ("refused", "away"):
            self._on_trouble(self.endpoint, notice.text)
