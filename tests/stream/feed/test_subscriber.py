"""The receiving side over real sockets: restarts, cursors, filters, several feeds, asyncio, staleness."""

import asyncio
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from helpers.feed import LIMIT_SECONDS, free_endpoint, options_for, publish, take
from helpers.waiting import wait_until
from stream import (
    AsyncSubscriber,
    Cursor,
    FeedError,
    Publisher,
    Received,
    Subscriber,
    SubscriberNotice,
    SubscriberOptions,
)
from stream.feed.journal import Journal
from stream.feed.keys import make_client_keys, make_server_keys
from stream.feed.protocol import parse_endpoint


def numbers(received: list[Received]) -> list[int]:
    return [one.sequence for one in received]


def test_it_goes_on_through_restarts_of_the_publisher(tmp_path: Path) -> None:
    endpoint, got = free_endpoint(), []
    with Subscriber(endpoint, since=0) as events:
        for _ in range(3):
            with Publisher(options_for(endpoint, tmp_path / "j.db"), {}) as feed:
                publish(feed, 20)
                got += take(events, 20)
    assert numbers(got) == list(range(1, 61))


def test_a_cursor_file_goes_on_behind_what_was_dealt_with(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    options = SubscriberOptions(since=0, cursor=tmp_path / "place")
    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 10)
        with Subscriber(endpoint, options=options) as events:
            assert numbers(take(events, 4)) == [1, 2, 3, 4]
        with Subscriber(endpoint, options=options) as events:
            assert numbers(take(events, 6)) == [5, 6, 7, 8, 9, 10]


def test_a_message_whose_handling_failed_comes_again(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    options = SubscriberOptions(since=0, cursor=tmp_path / "place")
    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 3)

        def handle_until_the_power_is_cut() -> None:
            with Subscriber(endpoint, options=options) as events:
                for event in events:
                    if event.sequence == 2:
                        raise RuntimeError("power cut")

        with pytest.raises(RuntimeError, match="power cut"):
            handle_until_the_power_is_cut()
        with Subscriber(endpoint, options=options) as events:
            assert numbers(take(events, 2)) == [2, 3]


def test_a_cursor_file_keeps_the_place_of_first_contact_even_before_a_message(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    options = SubscriberOptions(cursor=tmp_path / "place")
    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 3)
        wait_until(lambda: feed.counters.published == 3)
        with Subscriber(endpoint, options=options) as events:
            wait_until(lambda: events.receive(0.05) or (tmp_path / "place").exists())
        publish(feed, 2)
        with Subscriber(endpoint, options=options) as events:
            assert numbers(take(events, 2)) == [4, 5]


def test_a_cursor_that_cannot_be_written_is_said_once_and_holds_up_no_message(tmp_path: Path) -> None:
    endpoint, notices = free_endpoint(), list[SubscriberNotice]()
    options = SubscriberOptions(since=0, cursor=tmp_path / "place", on_notice=notices.append)
    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 3)
        with Subscriber(endpoint, options=options) as events:
            (tmp_path / "place").mkdir()  # no file can be written there, as on a full disk
            assert numbers(take(events, 3)) == [1, 2, 3]
            assert [n.text for n in notices if n.kind == "place_trouble"]
            (tmp_path / "place").rmdir()
            assert events.receive(0.5) is None
        publish(feed, 1)
        with Subscriber(endpoint, options=options) as events:
            assert numbers(take(events, 1)) == [4]
    assert [n.kind for n in notices if "cursor" in n.text] == ["place_trouble", "place_well"]


def test_a_damaged_cursor_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("not json")
    subscriber = Subscriber(free_endpoint(), options=SubscriberOptions(cursor=tmp_path / "place"))
    with pytest.raises(FeedError, match=r"place: not a cursor file.*delete it"):
        subscriber.receive(0)


def test_the_place_can_be_kept_by_the_caller_instead() -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 5)
        with Subscriber(endpoint, since=0) as events:
            third = take(events, 3)[-1]
        places = {third.message.feed: Cursor(third.cursor.run, third.cursor.sequence)}
        with Subscriber(endpoint, options=SubscriberOptions(cursors=places)) as events:
            assert numbers(take(events, 2)) == [4, 5]


def test_filters_by_camera_and_state_leave_the_numbers_whole(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint, tmp_path / "j.db"), {}) as feed:
        for n in range(10):
            publish(feed, 1, camera=f"cam{n % 2}", state=("detected", "confirmed")[n // 2 % 2])
        notices: list[SubscriberNotice] = []
        options = SubscriberOptions(since=0, cameras=["cam1"], states=["confirmed"], on_notice=notices.append)
        with Subscriber(endpoint, options=options) as events:
            got = take(events, 2)
            assert events.receive(0.3) is None
    assert numbers(got) == [4, 8]
    assert {(one.message.subject, one.message.data["state"]) for one in got} == {("cam1", "confirmed")}
    assert [notice.kind for notice in notices] == ["connected"]


def test_the_place_is_kept_behind_what_was_not_wanted_so_that_its_pruning_is_no_loss(tmp_path: Path) -> None:
    endpoint, cursor, notices = free_endpoint(), tmp_path / "cursor", []
    options = SubscriberOptions(since=0, cursor=cursor, cameras=["roof"], on_notice=notices.append)
    with Publisher(options_for(endpoint, tmp_path / "j.db"), {}) as feed:
        publish(feed, 1, camera="roof")
        publish(feed, 600, camera="yard", pad="x" * 2000)
        with Subscriber(endpoint, options=options) as events:
            take(events, 1)
            wait_until(lambda: events.receive(0.05) or b'"sequence":601' in cursor.read_bytes())
    with (
        Publisher(options_for(endpoint, tmp_path / "j.db", keep_megabytes=0.1), {}) as feed,
        Subscriber(endpoint, options=options) as events,
    ):
        wait_until(lambda: feed.counters.pruned > 300)
        publish(feed, 1, camera="roof")
        assert numbers(take(events, 1)) == [602]
    assert "lost" not in [notice.kind for notice in notices]


def test_several_feeds_come_together_each_in_its_own_order() -> None:
    endpoints = [free_endpoint(), free_endpoint()]
    with (
        Publisher(options_for(endpoints[0], site="a"), {}) as one,
        Publisher(options_for(endpoints[1], site="b"), {}) as two,
    ):
        publish(one, 30)
        publish(two, 20)
        with Subscriber(*endpoints, since=0) as events:
            got = take(events, 50)
    for endpoint, count in zip(endpoints, (30, 20), strict=True):
        assert numbers([event for event in got if event.endpoint == endpoint]) == list(range(1, count + 1))


def test_it_says_when_the_publisher_is_away_and_back(tmp_path: Path) -> None:
    endpoint, notices = free_endpoint(), []
    with Subscriber(endpoint, options=SubscriberOptions(on_notice=notices.append)) as events:
        assert events.away == [endpoint]
        with Publisher(options_for(endpoint, tmp_path / "j.db"), {}):
            wait_until(lambda: events.receive(0.05) or not events.away)
        wait_until(lambda: events.receive(0.05) or events.away)
        with Publisher(options_for(endpoint, tmp_path / "j.db"), {}):
            wait_until(lambda: events.receive(0.05) or not events.away)
    assert [notice.kind for notice in notices] == ["connected", "away", "back"]
    assert endpoint in notices[1].text


def test_it_says_when_nobody_is_there_from_the_start() -> None:
    endpoint, notices = free_endpoint(), []
    with Subscriber(endpoint, options=SubscriberOptions(on_notice=notices.append)) as events:
        wait_until(lambda: events.receive(0.1) or notices)
    assert [notice.kind for notice in notices] == ["away"]
    assert "no publisher answers" in notices[0].text


def take_and_close(server: socket.socket, connections: int, closed: list[int]) -> None:
    server.settimeout(LIMIT_SECONDS)
    for number in range(connections):
        server.accept()[0].close()
        closed.append(number)


@pytest.mark.parametrize("with_key", [False, True])
def test_it_waits_behind_a_forwarder_that_takes_connections_before_the_publisher_is_up(
    with_key: bool, tmp_path: Path
) -> None:
    endpoint, notices = free_endpoint(), []
    make_server_keys(tmp_path / "keys")
    make_client_keys(tmp_path / "keys", "me", tmp_path / "me.key")
    keys = [tmp_path / "me.key"] if with_key else []
    closed: list[int] = []
    with Subscriber(endpoint, options=SubscriberOptions(since=0, keys=keys, on_notice=notices.append)) as events:
        with socket.create_server(("127.0.0.1", parse_endpoint(endpoint).port)) as forwarder:
            forward = threading.Thread(target=take_and_close, args=(forwarder, 10, closed))
            forward.start()
            wait_until(lambda: events.receive(0.05) or not forward.is_alive())
        assert len(closed) == 10
        with Publisher(
            options_for(endpoint, tmp_path / "j.db", keys=tmp_path / "keys" if with_key else None), {}
        ) as feed:
            publish(feed, 1)
            take(events, 1)
    assert [notice.kind for notice in notices if notice.kind != "away"] == ["refused", "connected"]
    assert "forwarder" in notices[0].text


def break_off_whoever_speaks(server: socket.socket) -> None:
    """As a far publisher that wants a key: it breaks off at the handshake, and its greeting comes too late."""
    with suppress(OSError):  # until it is shut down
        while True:
            with server.accept()[0] as one:
                one.settimeout(LIMIT_SECONDS)
                one.recv(64)


def test_a_far_publisher_that_breaks_off_is_not_taken_for_a_forwarder_and_the_key_is_named() -> None:
    endpoint, notices = free_endpoint(), []
    with (
        socket.create_server(("127.0.0.1", parse_endpoint(endpoint).port)) as far,
        Subscriber(endpoint, options=SubscriberOptions(on_notice=notices.append)) as events,
    ):
        breaker = threading.Thread(target=break_off_whoever_speaks, args=(far,), daemon=True)
        breaker.start()
        with pytest.raises(FeedError, match="wants a --key"):
            wait_until(lambda: events.receive(0.05))
        far.shutdown(socket.SHUT_RDWR)
        breaker.join(LIMIT_SECONDS)
    assert "forwarder" not in "".join(notice.text for notice in notices)


def test_it_says_when_the_publisher_cannot_write_its_journal_and_when_it_can_again(tmp_path: Path) -> None:
    endpoint, notices = free_endpoint(), []
    with (
        Publisher(options_for(endpoint, tmp_path / "j.db"), {}) as feed,
        Subscriber(endpoint, options=SubscriberOptions(since=0, on_notice=notices.append)) as events,
        closing(sqlite3.connect(tmp_path / "j.db", isolation_level=None)) as locker,
    ):
        locker.execute("begin immediate")
        publish(feed, 1)
        (held,) = take(events, 1)
        assert not held.message.durable
        wait_until(lambda: events.receive(0.05) or notices[-1].kind == "disk_trouble")
        locker.execute("rollback")
        wait_until(lambda: events.receive(0.05) or notices[-1].kind == "disk_well")
        publish(feed, 1)
        assert take(events, 1)[0].message.durable
    assert [notice.kind for notice in notices] == ["connected", "disk_trouble", "disk_well"]


def test_a_wiped_journal_is_told_and_its_messages_come_from_the_first(tmp_path: Path) -> None:
    endpoint, notices = free_endpoint(), []
    with Subscriber(endpoint, options=SubscriberOptions(since=0, on_notice=notices.append)) as events:
        for name in ("one.db", "two.db"):
            with Publisher(options_for(endpoint, tmp_path / name), {}) as feed:
                publish(feed, 4)
                assert numbers(take(events, 4)) == [1, 2, 3, 4]
    assert "new_feed" in [notice.kind for notice in notices]


def test_pruned_history_is_told_with_what_is_gone(tmp_path: Path) -> None:
    endpoint, notices = free_endpoint(), []
    with Publisher(options_for(None, tmp_path / "j.db"), {}) as feed:
        publish(feed, 5)
    journal = Journal(tmp_path / "j.db")
    assert journal.prune_age(time.time() + 60) == 5
    journal.close()
    with Publisher(options_for(endpoint, tmp_path / "j.db"), {}) as feed:
        publish(feed, 1)
        with Subscriber(endpoint, options=SubscriberOptions(since=0, on_notice=notices.append)) as events:
            assert numbers(take(events, 1)) == [6]
    assert "5 messages (1 to 5)" in next(notice.text for notice in notices if notice.kind == "lost")


def test_a_journal_deleted_under_a_running_publisher_costs_nothing(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    path = tmp_path / "j.db"
    with Subscriber(endpoint, since=0) as events:
        with Publisher(options_for(endpoint, path), {}) as feed:
            publish(feed, 3)
            take(events, 3)
            for file in (path, path.with_name("j.db-wal"), path.with_name("j.db-shm")):
                file.unlink(missing_ok=True)
            wait_until(path.exists)
            publish(feed, 2)
        with Publisher(options_for(endpoint, path), {}) as feed:
            publish(feed, 1)
            assert numbers(take(events, 3)) == [4, 5, 6]


def test_stop_from_another_thread_ends_the_loop() -> None:
    endpoint = free_endpoint()
    seen: list[Received] = []

    def listen() -> None:
        with events:  # its sockets belong to this thread
            for event in events:
                seen.append(event)  # noqa: PERF402 - `extend` would keep them to itself until the end

    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 1)
        events = Subscriber(endpoint, since=0)
        listener = threading.Thread(target=listen, name="listener")
        listener.start()
        wait_until(lambda: seen)
        events.stop()
        listener.join(LIMIT_SECONDS)
    assert not listener.is_alive()
    assert numbers(seen) == [1]


def test_asyncio_gets_the_same_messages_and_other_tasks_run_meanwhile() -> None:
    endpoint = free_endpoint()

    async def receive_while_ticking() -> tuple[list[int], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        got = []
        async with AsyncSubscriber(endpoint, since=0) as events:
            async for event in events:
                got.append(event.sequence)
                if len(got) == 30:
                    break
            assert await events.receive(0.3) is None
        ticking.cancel()
        return got, ticks

    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 30)
        got, ticks = asyncio.run(asyncio.wait_for(receive_while_ticking(), LIMIT_SECONDS))
    assert got == list(range(1, 31))
    assert ticks > 10


def test_a_slow_subscriber_gets_everything_though_the_publisher_keeps_little_for_it(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    options = options_for(endpoint, tmp_path / "j.db", send_queue_messages=10)
    with Publisher(options, {}) as feed, Subscriber(endpoint, since=0) as events:
        publish(feed, 1)
        take(events, 1)
        publish(feed, 15_000, padding="x" * 2000)  # more than two socket buffers hold
        wait_until(lambda: feed.counters.published == 15_001)
        got = take(events, 15_000)
    assert numbers(got) == list(range(2, 15_002))
    assert any(one.from_history for one in got)


BARE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"cv2", "av", "torch", "transformers", "numpy"}:
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Refuse())
import detector.cli.commands.subscribe
from detector.cli.commands.subscribe import add_arguments, run
import argparse
from stream import AsyncSubscriber, Subscriber
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args(sys.argv[1:])))
"""


def test_it_works_where_opencv_pyav_torch_and_numpy_are_not_installed() -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint), {}) as feed:
        publish(feed, 2)
        words = [endpoint, "--since", "0", "--count", "2", "--seconds", "15", "--json"]
        done = subprocess.run(
            [sys.executable, "-c", BARE, *words], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 2
