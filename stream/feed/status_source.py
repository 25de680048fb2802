"""What a program says of itself in the heartbeats of its feed."""

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

_log = logging.getLogger("stream.feed")

STATUS_SECONDS = 2.0
"""Between two heartbeats that carry a status: each goes to every subscriber, however many cameras it lists."""
_SLACK_SECONDS = 0.05  # a heartbeat that comes a little early still counts


class StatusSource:
    """Ask `ask` for the status to publish, every STATUS_SECONDS at most; use it in the publisher's thread.

    `ask` must neither block nor wait: no event is published meanwhile. What it raises, or returns that is no JSON, is
    logged once and costs the status, never the heartbeat.
    """

    def __init__(self, ask: Callable[[], dict[str, Any] | None] | None) -> None:
        self._ask = ask
        self._asked = -STATUS_SECONDS
        self._failed = False

    def due(self) -> dict[str, Any] | UnsetType:
        """Return the status now, or UNSET where it is not due or there is none."""
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
