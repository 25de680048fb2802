"""What the feed's tests share: endpoints, options and messages."""

from pathlib import Path
from typing import Any

import psutil

from detector.events import Flash, Media, Pulse, Verdict
from helpers.ports import free_port
from helpers.waiting import LIMIT_SECONDS, wait_until
from stream import FeedOptions, Publisher, Received, Subscriber


def free_endpoint() -> str:
    """An endpoint of this machine whose port and the next one up are free."""
    return f"tcp://127.0.0.1:{free_port(neighbours=1)}"


def gateway_process(feed: Publisher) -> psutil.Process:
    """The process that serves the subscribers of `feed` now."""
    wait_until(lambda: feed.gateway_pid)
    assert feed.gateway_pid is not None
    return psutil.Process(feed.gateway_pid)


def options_for(endpoint: str | None, journal: Path | None = None, **more: Any) -> FeedOptions:
    """Options with a quick heartbeat and a short farewell."""
    return FeedOptions(
        **{"site": "test", "heartbeat_seconds": 0.1, "farewell_seconds": 0.2}
        | {"endpoint": endpoint, "journal": journal}
        | more
    )


def publish(feed: Publisher, count: int, camera: str = "cam", **more: Any) -> None:
    """Publish `count` messages about `camera`, numbered in data.n."""
    for n in range(count):
        data = {"camera": camera, "n": n, "state": "confirmed"} | more
        feed.publish(topic=f"ev.flash.{camera}", type="test.v1", subject=camera, dataschema="urn:test", data=data)


def take(subscriber: Subscriber, count: int) -> list[Received]:
    """The next `count` messages; fails when they do not come."""
    taken: list[Received] = []
    while len(taken) < count:
        received = subscriber.receive(LIMIT_SECONDS)
        assert received is not None, f"{len(taken)} of {count} messages came within {LIMIT_SECONDS:g} s"
        taken.append(received)
    return taken


def flash() -> Flash:
    return Flash(
        id="cam-1.000s-aaaa", camera="cam", file=None, state="confirmed", revision=2, start_seconds=1.0,
        peak_seconds=1.04, end_seconds=1.2, duration_seconds=0.2, start_utc="2026-11-22T21:29:03.372881Z", clock="rtcp",
        utc_error_ms=40.0, quality=("rtp_loss",),
        pulses=(Pulse(offset_seconds=0.0, duration_seconds=0.2, rise_levels=40.0),), peak_rise_levels=40.0,
        lit_fraction=0.4, box=(0.0, 0.0, 1.0, 0.5), centroid=(0.5, 0.25),
        verdict=Verdict(lightning=True, probability=0.97, verifier="photometric", evidence={"positivity": 0.99}),
        media=Media(still="stills/x.jpg"), latency_ms=3.0, software="test",
    )  # fmt: skip
