"""Nobody can stall, crash or grow a publisher through its history socket."""

import json
import random
import socket
import time
from collections.abc import Iterator

import psutil
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.feed import LIMIT_SECONDS, free_endpoint, options_for, publish
from helpers.waiting import wait_until
from stream import Publisher
from stream.feed.protocol import parse_endpoint

REQUESTS = 10_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["since", "info", "schema", "", "delete"]) | JSON,
        "sequence": st.integers() | JSON,
        "limit": st.integers() | JSON,
        "request": st.integers() | JSON,
    },
)
FRAME = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | NEARLY.map(lambda value: json.dumps(value).encode())
)


@pytest.fixture(scope="module")
def feed() -> Iterator[Publisher]:
    with Publisher(options_for(free_endpoint(), requests_per_second=1e6), {}) as feed:
        publish(feed, 1000, padding="x" * 500)
        wait_until(lambda: feed.counters.published == 1000)
        yield feed


@pytest.fixture(scope="module")
def dealer(feed: Publisher) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.rcvhwm = 100_000
        socket.connect(parse_endpoint(str(feed._options.endpoint)).history)
        yield socket


def met(feed: Publisher) -> int:
    """How many requests were answered, refused or dropped."""
    counters = feed.counters
    return counters.requests_answered + counters.requests_refused + counters.requests_dropped


def send_and_see_them_met(feed: Publisher, dealer: "zmq.Socket[bytes]", requests: list[list[bytes]]) -> None:
    """Send them all; fail unless each is answered, refused or dropped within the limit."""
    before = met(feed)
    for frames in requests:
        dealer.send_multipart(frames)
    deadline = time.monotonic() + LIMIT_SECONDS
    while met(feed) < before + len(requests):
        assert time.monotonic() < deadline, f"{met(feed) - before} of {len(requests)} were met"
        while dealer.poll(1):
            dealer.recv_multipart()
    while dealer.poll(0):
        dealer.recv_multipart()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(burst=st.lists(st.lists(FRAME, min_size=1, max_size=4), min_size=10, max_size=10))
def test_requests_of_any_shape_are_each_answered_or_dropped(
    feed: Publisher, dealer: "zmq.Socket[bytes]", burst: list[list[bytes]]
) -> None:
    send_and_see_them_met(feed, dealer, burst)


@settings(max_examples=REQUESTS // 200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_ten_thousand_damaged_requests_are_each_answered_or_dropped_and_memory_stays(
    feed: Publisher, dealer: "zmq.Socket[bytes]", seed: int
) -> None:
    before = psutil.Process().memory_info().rss
    dice = random.Random(seed)
    send_and_see_them_met(feed, dealer, [damaged(dice) for _ in range(200)])
    assert psutil.Process().memory_info().rss - before < 30e6


def damaged(dice: random.Random) -> list[bytes]:
    """A valid request with some bytes changed, cut or repeated, in one to three frames."""
    text = bytearray(dice.choice([b'{"op":"since","sequence":990,"limit":5}', b'{"op":"info"}', b'{"op":"schema"}']))
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(text) + 1)
        text[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3)) * dice.choice([1, 1, 1, 100])
    return [bytes(text)] * dice.choice([1, 1, 1, 2, 3])


def test_after_all_that_the_feed_publishes_and_answers_as_before(feed: Publisher, dealer: "zmq.Socket[bytes]") -> None:
    published = feed.counters.published
    publish(feed, 1)
    wait_until(lambda: feed.counters.published == published + 1)
    answer: dict[str, int] = {}

    def asked() -> bool:
        # An answer finds no room while earlier ones are unread; clients ask again.
        dealer.send(b'{"op":"info","request":77}')
        while dealer.poll(300):
            answer.update(json.loads(dealer.recv_multipart()[0]))
        return answer.get("request") == 77

    wait_until(asked)
    assert answer["last"] == published + 1


def test_a_request_larger_than_allowed_ends_that_connection_and_nothing_else() -> None:
    endpoint = free_endpoint()
    with (
        Publisher(options_for(endpoint), {}) as feed,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as large,
        context.socket(zmq.DEALER) as small,
    ):
        for client in (large, small):
            client.linger = 0
            client.connect(parse_endpoint(endpoint).history)
        large.send(b'"' + b"x" * 1_000_000 + b'"')
        small.send(b'{"op":"info"}')
        assert small.poll(LIMIT_SECONDS * 1000)
        wait_until(lambda: met(feed) == 1)
        assert not large.poll(300)
        assert met(feed) == 1


def test_bytes_that_are_not_zeromq_do_not_disturb_it(feed: Publisher) -> None:
    address = parse_endpoint(str(feed._options.endpoint))
    for port in (address.port, address.port + 1):
        with socket.create_connection((address.host, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    published = feed.counters.published
    publish(feed, 1)
    wait_until(lambda: feed.counters.published == published + 1)


def test_a_flood_of_requests_does_not_hold_up_events(feed: Publisher) -> None:
    history = parse_endpoint(str(feed._options.endpoint)).history
    with zmq.Context() as context, context.socket(zmq.DEALER) as flood:
        flood.linger = 0
        flood.sndhwm = 100_000
        flood.connect(history)
        for _ in range(3000):
            flood.send(b'{"op":"since"}')
        waits = []
        for _ in range(20):
            published = feed.counters.published
            began = time.monotonic()
            publish(feed, 1)
            wait_until(lambda seen=published: feed.counters.published > seen)
            waits.append(time.monotonic() - began)
        assert sorted(waits)[10] < 0.2
