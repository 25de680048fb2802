"""The status of a program in the heartbeats of its feed."""

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

_log = logging.getLogger("stream.feed")

STATUS_SECONDS = 2.0
"""Time between two heartbeats with a status; each goes to every subscriber, however many cameras it lists."""
_SLACK_SECONDS = 0.05  # a heartbeat that comes this early still counts


class StatusSource:
    """A source of the status, asked every STATUS_SECONDS at most; used in the publisher's thread.

    `ask` must not block: no event is published meanwhile. If it raises, or returns what is not JSON, the error is
    logged once, and the heartbeat has no status.
    """

    def __init__(self, ask: Callable[[], dict[str, Any] | None] | None) -> None:
        self._ask = ask
        self._asked = -STATUS_SECONDS
        self._failed = False

    def due(self) -> dict[str, Any] | UnsetType:
        """Return the status, or UNSET if it is not due or there is none."""
        now = time.monotonic()
        if self._ask is None or now - self._asked < STATUS_SECONDS - _SLACK_SECONDS:
            return UNSET
        self._asked = now
        try:
            status = self._ask()
            msgspec.json.encode(status)
        except Exception:  # noqa: BLE001 - whatever it is, the feed's numbers must go on
            if not self._failed:
                _log.exception("the status of heartbeats cannot be told")
            self._failed = True
            return UNSET
        return UNSET if status is None else status
