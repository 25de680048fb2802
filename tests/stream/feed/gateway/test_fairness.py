"""Nobody's requests starve another's: turns among peers, within a peer among its connections, and allowances."""

import json
import threading
import time
from contextlib import suppress

import pytest
import zmq

from feed_bench.strangers import Stranger
from helpers.feed import free_endpoint, options_for, publish
from helpers.waiting import wait_until
from stream import FeedOptions, Publisher
from stream.feed.gateway.fairness import Allowance, Turns
from stream.feed.protocol import parse_endpoint

pytestmark = pytest.mark.alone

GREEDY = 24
HONEST_REQUESTS = 20


def test_peers_take_turns_however_many_connections_one_has() -> None:
    turns = Turns()
    for client in range(100):
        turns.add("greedy", client)
    turns.add("honest", 1000)
    assert [turns.next() for _ in range(3)] == [0, 1000, 1]
    assert len(turns) == 98


def test_connections_of_one_peer_take_turns() -> None:
    turns = Turns()
    for client in (1, 2, 1, 1):
        turns.add("peer", client)
    first = turns.next()
    turns.add("peer", 1)
    assert [first, turns.next(), turns.next(), turns.next()] == [1, 2, 1, None]


def test_an_allowance_lets_through_its_burst_and_then_its_rate() -> None:
    now = [0.0]
    allowance = Allowance(10.0, 20.0, clock=lambda: now[0])
    assert [allowance.take() for _ in range(25)] == [True] * 20 + [False] * 5
    now[0] = 0.5
    assert [allowance.take() for _ in range(10)] == [True] * 5 + [False] * 5
    now[0] = 1000.0
    assert sum(allowance.take() for _ in range(100)) == 20


def test_an_honest_client_is_answered_at_once_beside_24_that_ask_far_too_often() -> None:
    endpoint = free_endpoint()
    address = parse_endpoint(endpoint)
    ended = threading.Event()

    def ask_too_often() -> None:
        greedy = Stranger(address.host, address.port + 1, history=True, keys=None)
        greedy.shake_hands()
        greedy.socket.settimeout(0.01)
        while not ended.is_set():
            greedy.socket.sendall(greedy.wrap(b'{"op":"info"}', 0))
            with suppress(TimeoutError):
                greedy.socket.recv(65536)
            ended.wait(0.004)
        greedy.hang_up(reset=True)

    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 10)
        crowd = [threading.Thread(target=ask_too_often) for _ in range(GREEDY)]
        for one in crowd:
            one.start()
        burst = 2 * FeedOptions().requests_per_second
        wait_until(lambda: feed.counters.requests_answered > burst)  # what the crowd may ask at once is used up
        waits = []
        with zmq.Context() as context, context.socket(zmq.DEALER) as honest:
            honest.linger = 0
            honest.connect(address.history)
            for number in range(HONEST_REQUESTS):
                began = time.monotonic()
                honest.send(b'{"op":"info","request":%d}' % number)
                assert honest.poll(2000), f"request {number} had no answer"
                assert json.loads(honest.recv_multipart()[0])["request"] == number
                waits.append(time.monotonic() - began)
        ended.set()
        for one in crowd:
            one.join()
    assert sorted(waits)[-2] < 0.5
