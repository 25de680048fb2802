"""The process that serves subscribers may end in any way: it is replaced, and nobody misses a message."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from helpers.feed import free_endpoint, gateway_process, options_for, publish, take
from helpers.waiting import wait_until
from stream import FeedOptions, Publisher, Subscriber
from stream.feed.gateway.process import Gateway
from stream.feed.protocol import parse_endpoint


def test_a_killed_gateway_is_replaced_and_nothing_is_lost_or_doubled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint, tmp_path / "j.db"), {}) as feed, Subscriber(endpoint, since=0) as events:
        for kills in range(1, 4):
            publish(feed, 50)
            assert take(events, 50)[-1].sequence == kills * 100 - 50
            gateway_process(feed).kill()
            publish(feed, 50)
            assert [one.sequence for one in take(events, 50)] == list(range(kills * 100 - 49, kills * 100 + 1))
            wait_until(lambda seen=kills: feed.counters.gateway_restarts == seen)
    assert "exit status -9" in caplog.text


def test_it_ends_at_once_when_the_publisher_is_killed_so_that_the_ports_are_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; from stream import FeedOptions, Publisher\n"
        "with Publisher(FeedOptions(endpoint=sys.argv[1]), {}): print('open', flush=True); time.sleep(60)"
    )
    endpoint = free_endpoint()
    with subprocess.Popen([sys.executable, "-c", program, endpoint], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        (gateway,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with Publisher(options_for(endpoint), {}):  # within the second that it waits for a port
            pass
        gateway.wait(5)


def test_ctrl_c_and_a_polite_end_are_for_the_publisher_which_still_says_farewell() -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint), {}) as feed, Subscriber(endpoint, since=0) as events:
        publish(feed, 1)
        take(events, 1)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(gateway_process(feed).pid, number)
        publish(feed, 1)
        assert take(events, 1)[0].sequence == 2
        assert feed.counters.gateway_restarts == 0


def test_the_publisher_never_waits_for_a_gateway_that_stands_still(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint, tmp_path / "j.db"), {}) as feed, Subscriber(endpoint, since=0) as events:
        publish(feed, 1)
        take(events, 1)
        gateway_process(feed).suspend()
        publish(feed, 3000, padding="x" * 2000)
        wait_until(lambda: feed.counters.published == 3001, 8)
        wait_until(lambda: feed.counters.gateway_restarts == 1)  # after ten seconds of silence
        assert [one.sequence for one in take(events, 3000)] == list(range(2, 3002))


def test_its_memory_is_limited_by_the_system() -> None:
    with Publisher(options_for(free_endpoint()), {}) as feed:
        gateway = gateway_process(feed)
        wait_until(lambda: gateway.rlimit(psutil.RLIMIT_AS)[0] != psutil.RLIM_INFINITY)
        limit, mapped = gateway.rlimit(psutil.RLIMIT_AS)[0], gateway.memory_info().vms
        assert mapped <= limit <= mapped + 256 * 2**20


def test_it_serves_from_a_thread_where_processes_inherit_no_sockets() -> None:
    endpoint = free_endpoint()
    gateway = Gateway(parse_endpoint(endpoint), FeedOptions(endpoint=endpoint), thread=True)
    ended = threading.Event()
    got: list[bytes] = []

    def listen() -> None:
        with Subscriber(endpoint, since=0) as events:
            while not ended.is_set():
                events.receive(0.1)
            got.extend(b"away" for _ in events.away)

    listener = threading.Thread(target=listen)
    listener.start()
    deadline = time.monotonic() + 20
    while not gateway.connections and time.monotonic() < deadline:
        gateway.step()
        gateway.selector.select(0.05)
    ended.set()
    listener.join()
    connections = gateway.connections
    gateway.close()
    assert connections >= 1
    assert not [one for one in threading.enumerate() if one.name == "feed gateway"]
