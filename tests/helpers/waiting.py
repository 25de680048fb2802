"""Waiting for what happens elsewhere: in a thread, a process, a server."""

import time
from collections.abc import Callable

LIMIT_SECONDS = 20.0


def wait_until(condition: Callable[[], object], limit_seconds: float = LIMIT_SECONDS, what: str = "") -> float:
    """Return the seconds until `condition` holds; fail if it does not in time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < limit_seconds, f"not within {limit_seconds:g} s: {what or condition}"
        time.sleep(0.01)
    return time.monotonic() - began
