"""A publisher in a process of its own outlives clients that ask much, read nothing and hang up while it is busy.

In the test's own process a failure would end the tests: libzmq aborts the whole program.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import zmq

from helpers.feed import LIMIT_SECONDS, free_endpoint
from stream.feed.protocol import parse_endpoint

PUBLISHER = """
import sys, threading
from stream import FeedOptions, Publisher

released = threading.Event()

def busy_from_the_second_on(message):
    if message.sequence == 2:
        print("busy", flush=True)
        released.wait()

with Publisher(FeedOptions(site="t", endpoint=sys.argv[1], farewell_seconds=0), {}, busy_from_the_second_on) as feed:
    print("open", flush=True)
    for _ in range(2):
        feed.publish(topic="ev.flash.cam", type="t", subject="cam", dataschema="d", data={})
        sys.stdin.readline()
    released.set()
    sys.stdin.readline()
"""
HEARTBEAT_WAS_DUE_SECONDS = 3.0  # the aborts came from a ZMTP heartbeat that was due every 2 s


class BusyPublisher:
    """A publisher whose thread stands still from `make_busy` until `release`."""

    def __init__(self, process: "subprocess.Popen[str]", endpoint: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.address = process, parse_endpoint(endpoint)
        self._to, self._said = process.stdin, process.stdout
        assert self._said.readline() == "open\n"

    def make_busy(self) -> None:
        self.release()
        assert self._said.readline() == "busy\n"

    def release(self) -> None:
        """Let the program go on from where it waits for a line."""
        self._to.write("\n")
        self._to.flush()


@pytest.fixture
def publisher() -> Iterator[BusyPublisher]:
    endpoint = free_endpoint()
    program = [sys.executable, "-c", PUBLISHER, endpoint]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield BusyPublisher(process, endpoint)
        process.kill()


def ask_for_state(publisher: BusyPublisher) -> dict[str, object]:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(publisher.address.history)
        socket.send(b'{"op":"info"}')
        assert socket.poll(LIMIT_SECONDS * 1000), f"no answer; exit status {publisher.process.poll()}"
        return dict(json.loads(socket.recv_multipart()[0]))


def send_as_much_as_goes(send: Callable[[], object], times: int) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    for number in range(times):
        try:
            send()
        except zmq.Again:
            time.sleep(0.001)
        if number % 1000 == 0:
            time.sleep(0.02)  # for libzmq's thread, which moves it into the network
        assert time.monotonic() < deadline


def ask_and_hang_up(publisher: BusyPublisher) -> None:
    """Many requests, none of them waited for."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(publisher.address.history)
        dealer.send(b'{"op":"info"}')
        assert dealer.poll(LIMIT_SECONDS * 1000)
        publisher.make_busy()
        send_as_much_as_goes(lambda: dealer.send(b'{"op":"since","sequence":0}', zmq.NOBLOCK), 20_000)


def subscribe_and_hang_up(publisher: BusyPublisher) -> None:
    """Many subscriptions, with the ZMTP heartbeats that docs/feed.md asks a SUB socket to send."""
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        sub.linger = 0
        sub.sndhwm = 0
        sub.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        sub.connect(publisher.address.events)
        sub.subscribe(b"hb")
        assert sub.poll(LIMIT_SECONDS * 1000)
        publisher.make_busy()
        topics = iter(range(20_000))
        send_as_much_as_goes(lambda: sub.subscribe(b"t%d" % next(topics)), 20_000)


@pytest.mark.parametrize("attack", [ask_and_hang_up, subscribe_and_hang_up])
def test_a_client_that_fills_its_input_and_hangs_up_does_not_abort_a_busy_publisher(
    attack: Callable[[BusyPublisher], None], publisher: BusyPublisher
) -> None:
    attack(publisher)
    with pytest.raises(subprocess.TimeoutExpired):
        publisher.process.wait(HEARTBEAT_WAS_DUE_SECONDS)
    publisher.release()
    assert ask_for_state(publisher)["last"] == 2
