"""What the installed ZeroMQ can do."""

from dataclasses import dataclass

import zmq


@dataclass(frozen=True, slots=True)
class FeedCapabilities:
    """Versions of ZeroMQ and of its Python binding, and whether it can encrypt with CURVE keys."""

    zeromq: str
    pyzmq: str
    curve: bool


def feed_capabilities() -> FeedCapabilities:
    """Of this Python's ZeroMQ."""
    return FeedCapabilities(zmq.zmq_version(), zmq.pyzmq_version(), bool(zmq.has("curve")))
