"""What a program says of itself in heartbeats."""

from pathlib import Path
from typing import Any

import pytest

from helpers.feed import free_endpoint, options_for
from helpers.waiting import wait_until
from stream import Heartbeat, Publisher, Subscriber, SubscriberOptions
from stream.feed.status_source import STATUS_SECONDS


def heard(status: Any, seconds: float) -> list[Heartbeat]:
    """The heartbeats of a publisher that asks `status`, for so long."""
    endpoint = free_endpoint()
    found: list[Heartbeat] = []
    options = SubscriberOptions(on_heartbeat=lambda _endpoint, heartbeat: found.append(heartbeat))
    with (
        Publisher(options_for(endpoint, status=status), {}),
        Subscriber(endpoint, options=options) as events,
    ):
        wait_until(lambda: events.receive(0.1) or found)
        events.receive(seconds)
    return found


def test_a_status_comes_every_two_seconds_at_most_and_heartbeats_between() -> None:
    asked: list[int] = []

    def status() -> dict[str, Any]:
        asked.append(1)
        return {"site": "here", "n": len(asked)}

    found = heard(status, 2 * STATUS_SECONDS + 0.5)
    with_status = [one.status for one in found if isinstance(one.status, dict)]
    assert len(with_status) in (2, 3)
    assert len(found) > 25
    assert with_status[-1]["site"] == "here"


@pytest.mark.parametrize("broken", [lambda: 1 / 0, lambda: {"a": object()}, lambda: None])
def test_a_status_that_fails_costs_no_heartbeat(broken: Any) -> None:
    found = heard(broken, 1.0)
    assert len(found) >= 5
    assert not any(isinstance(one.status, dict) for one in found)


def test_a_publisher_without_status_sends_none(tmp_path: Path) -> None:
    assert not any(isinstance(one.status, dict) for one in heard(None, 0.5))
