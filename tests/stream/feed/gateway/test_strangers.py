"""Who breaks the rules of ZMTP costs the publisher neither memory nor its life, with keys and without."""

import json
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from feed_bench.strangers import REQUEST, Stranger, attack
from helpers.feed import LIMIT_SECONDS, free_endpoint, gateway_process, options_for, publish
from helpers.waiting import wait_until
from stream import Publisher, make_client_keys, make_server_keys
from stream.feed.gateway.client import SUBSCRIPTIONS_AT_ONCE
from stream.feed.keys import ClientKeys, read_client_keys
from stream.feed.protocol import Endpoint, parse_endpoint

MEMORY_BYTES = 10e6


class Attacked:
    """A publisher with a thousand messages, its gateway, and how to reach it."""

    def __init__(self, feed: Publisher, keys: ClientKeys | None, key: Path | None) -> None:
        self.feed, self.keys, self.key = feed, keys, key
        self.address: Endpoint = parse_endpoint(str(feed._options.endpoint))
        self.info()
        self.gateway = gateway_process(feed)
        self.before = self.memory()

    def memory(self) -> int:
        """What publisher and gateway hold together."""
        return int(psutil.Process().memory_info().rss + self.gateway.memory_info().rss)

    def stranger(self, *, history: bool) -> Stranger:
        one = Stranger(self.address.host, self.address.port + history, history=history, keys=self.keys)
        one.shake_hands()
        return one

    def info(self) -> int:
        """The last number, asked for by an honest client."""
        with zmq.Context() as context, context.socket(zmq.REQ) as asking:
            asking.linger = 0
            if self.keys is not None:
                asking.curve_serverkey = self.keys.server.encode()
                asking.curve_publickey = self.keys.public.encode()
                asking.curve_secretkey = self.keys.secret.encode()
            asking.connect(self.address.history)
            asking.send(b'{"op":"info"}')
            assert asking.poll(LIMIT_SECONDS * 1000), "no answer"
            return int(json.loads(asking.recv_multipart()[0])["last"])

    def check_unharmed(self) -> None:
        assert self.info() == 1000
        assert self.memory() - self.before < MEMORY_BYTES
        assert self.gateway.is_running()
        assert self.feed.counters.gateway_restarts == 0


@pytest.fixture(params=["no keys", "CURVE"])
def attacked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Attacked]:
    folder, key = None, None
    if request.param == "CURVE":
        folder, key = tmp_path / "keys", tmp_path / "client.key"
        make_server_keys(folder)
        make_client_keys(folder, "client", key)
    with Publisher(options_for(free_endpoint(), keys=folder), {}) as feed:
        publish(feed, 1000, padding="x" * 500)
        wait_until(lambda: feed.counters.published == 1000)
        yield Attacked(feed, read_client_keys(key) if key else None, key)


def send_until_cut(stranger: Stranger, make: Callable[[], bytes], limit_bytes: float = 50e6) -> int:
    """How many bytes went out before the publisher ended the connection."""
    sent = 0
    try:
        while sent < limit_bytes:
            data = make()
            stranger.socket.sendall(data)
            sent += len(data)
    except (ConnectionError, TimeoutError):
        return sent
    finally:
        stranger.hang_up(reset=False)
    pytest.fail(f"still connected after {sent} bytes")


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("size", [0, 4000])
def test_a_message_of_endless_parts_ends_its_connection(attacked: Attacked, size: int, history: bool) -> None:
    stranger = attacked.stranger(history=history)
    assert send_until_cut(stranger, lambda: stranger.wrap(b"x" * size, 1)) < 10e6
    attacked.check_unharmed()


def test_endless_subscriptions_end_their_connection(attacked: Attacked) -> None:
    stranger = attacked.stranger(history=False)
    sent = send_until_cut(stranger, lambda: stranger.wrap(b"\x01ev." + random.randbytes(90), 0))
    assert sent > SUBSCRIPTIONS_AT_ONCE * 90
    attacked.check_unharmed()


def test_a_frame_that_announces_more_than_a_request_may_hold_ends_its_connection(attacked: Attacked) -> None:
    for history in (False, True):
        stranger = attacked.stranger(history=history)
        stranger.socket.sendall(b"\x02" + (2**62).to_bytes(8, "big") + b"x")
        assert stranger.socket.recv(1) == b""
        stranger.hang_up(reset=False)
    attacked.check_unharmed()


def test_pings_among_thousands_of_requests_and_a_hang_up_do_not_abort_it(attacked: Attacked) -> None:
    for reset in (False, True):
        stranger = attacked.stranger(history=True)
        stranger.socket.settimeout(1.0)
        try:
            for _ in range(3000):
                stranger.socket.sendall(stranger.wrap(REQUEST, 0) + stranger.wrap(b"\x04PING\x00\x00", 4))
        except TimeoutError:
            pass
        stranger.hang_up(reset=reset)
    attacked.check_unharmed()


def test_pages_that_nobody_reads_are_made_one_by_one_and_dropped_in_the_end(attacked: Attacked) -> None:
    strangers = [attacked.stranger(history=True) for _ in range(30)]
    for one in strangers:
        one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # a page does not fit
        one.socket.sendall(b"".join(one.wrap(REQUEST, 0) for _ in range(50)))
    wait_until(lambda: attacked.feed.counters.replies_unread == len(strangers))
    assert attacked.feed.counters.requests_answered < 10 * len(strangers)
    assert attacked.memory() - attacked.before < 30e6
    assert attacked.info() == 1000
    for one in strangers:
        one.hang_up(reset=True)


def test_a_thousand_connections_leave_room_for_an_honest_client(tmp_path: Path) -> None:
    with Publisher(options_for(free_endpoint(), max_connections=50), {}) as feed:
        publish(feed, 1000)
        wait_until(lambda: feed.counters.published == 1000)
        attacked = Attacked(feed, None, None)
        strangers = []
        for number in range(1000):
            strangers.append(Stranger(attacked.address.host, attacked.address.port + 1, history=True, keys=None))
            if number % 100 == 0:
                attacked.info()
        wait_until(lambda: feed.counters.connections_refused.get("there are too many connections", 0) > 900)
        assert feed.counters.connections <= 50
        attacked.check_unharmed()
        for one in strangers:
            one.hang_up(reset=True)


@pytest.mark.slow
def test_twenty_thousand_frames_of_a_fuzz_change_nothing(attacked: Attacked) -> None:
    attack(attacked.address.host, attacked.address.port, 20_000, 7, attacked.key)
    attacked.check_unharmed()
