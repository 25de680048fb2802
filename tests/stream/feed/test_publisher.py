"""The publishing side over real sockets: numbered, committed, published, answered; errors reach the owner."""

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from helpers.feed import LIMIT_SECONDS, free_endpoint, options_for, publish, take
from helpers.waiting import wait_until
from stream import FeedError, JournalError, Publisher, Subscriber, SubscriberOptions, WireMessage
from stream.feed.protocol import parse_endpoint


def ask(endpoint: str, *frames: bytes) -> list[bytes]:
    """One request from a REQ socket, as a client in any language would send it."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(parse_endpoint(endpoint).history)
        socket.send_multipart(list(frames))
        assert socket.poll(LIMIT_SECONDS * 1000), "no answer"
        return socket.recv_multipart()


def test_what_is_printed_published_and_journalled_are_the_same_bytes(tmp_path: Path) -> None:
    endpoint, printed = free_endpoint(), list[tuple[str, int, bytes]]()
    options = options_for(endpoint, tmp_path / "j.db")
    with Publisher(options, {}, lambda one: printed.append((one.topic, one.sequence, one.body))) as feed:
        publish(feed, 5)
        with Subscriber(endpoint, since=0) as events:
            received = take(events, 5)
    journalled = sqlite3.connect(tmp_path / "j.db").execute("select topic, sequence, body from message").fetchall()
    assert [(one.topic, one.sequence, one.body) for one in received] == printed == journalled


def test_without_an_endpoint_messages_are_still_numbered_and_told() -> None:
    told: list[WireMessage] = []
    with Publisher(options_for(None), {}, told.append) as feed:
        publish(feed, 3)
    assert [one.sequence for one in told] == [1, 2, 3]
    message = json.loads(told[0].body)
    assert message["source"] == "urn:lightning-detector:test"
    assert (message["subject"], message["sequence"], message["durable"]) == ("cam", f"{1:020d}", False)
    assert message["data"] == {"camera": "cam", "n": 0, "state": "confirmed"}


@pytest.mark.parametrize("name", [None, "j.db"])
def test_only_a_journal_on_disk_makes_messages_durable_and_its_absence_is_said(
    name: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    endpoint, notices = free_endpoint(), []
    journal = tmp_path / name if name else None
    with (
        Publisher(options_for(endpoint, journal), {}) as feed,
        Subscriber(endpoint, options=SubscriberOptions(since=0, on_notice=notices.append)) as events,
    ):
        publish(feed, 1)
        assert take(events, 1)[0].message.durable is (journal is not None)
        wait_until(lambda: events.receive(0.05) or journal or "disk_trouble" in [notice.kind for notice in notices])
    assert feed.counters.not_durable == int(journal is None)
    assert ("no journal" in caplog.text) == (journal is None)


def test_memory_takes_in_no_more_than_64_megabytes_of_messages() -> None:
    with Publisher(options_for(None), {}) as feed:
        publish(feed, 5000, pad="x" * 20_000)
        wait_until(lambda: feed.counters.pruned >= 5000 - 64_000 // 20)
        wait_until(lambda: feed.counters.published == 5000)
    assert feed.counters.pruned < 5000 - 40_000 // 20


def test_many_threads_publish_and_each_keeps_its_own_order() -> None:
    told: list[Any] = []
    with Publisher(
        options_for(None), {}, lambda one: told.append((one.sequence, msgspec.json.decode(one.body)))
    ) as feed:
        threads = [threading.Thread(target=publish, args=(feed, 200, f"cam{n}")) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [number for number, _ in told] == list(range(1, 1001))
    for n in range(5):
        own = [message["data"]["n"] for _, message in told if message["subject"] == f"cam{n}"]
        assert own == list(range(200))
    assert len({message["id"] for _, message in told}) == 1000


def test_leaving_the_block_publishes_what_waits_and_ends_the_thread() -> None:
    told: list[int] = []
    with Publisher(options_for(None), {}, lambda one: told.append(one.sequence)) as feed:
        publish(feed, 3000)
    assert told == list(range(1, 3001))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]
    with pytest.raises(FeedError, match="not running"):
        publish(feed, 1)


def test_publish_does_not_wait_for_a_locked_journal(tmp_path: Path) -> None:
    told: list[bool] = []
    path = tmp_path / "j.db"
    with Publisher(options_for(None, path), {}, lambda one: told.append(one.message.durable)) as feed:
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("begin immediate")
        began = time.monotonic()
        publish(feed, 100)
        assert time.monotonic() - began < 0.2, "the journal's lock limit is 0.25 s"
        wait_until(lambda: len(told) == 100)
        locker.execute("rollback")
        locker.close()
    assert told == [False] * 100
    kept = sqlite3.connect(path).execute("select count(*) from message").fetchone()
    assert kept == (100,)


def test_what_the_listener_raises_reaches_the_owner() -> None:
    def broken(message: WireMessage) -> None:
        raise RuntimeError(f"paper jam at {message.sequence}")

    feed = Publisher(options_for(None), {}, broken).__enter__()
    publish(feed, 1)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "feed test"])
    with pytest.raises(FeedError, match="paper jam"):
        publish(feed, 1)
    with pytest.raises(RuntimeError, match="paper jam at 1"):
        feed.__exit__(None, None, None)


def test_an_error_in_the_block_is_not_hidden_by_the_feed() -> None:
    def jam(_message: WireMessage) -> None:
        raise RuntimeError("paper jam")

    def work() -> None:
        with Publisher(options_for(None), {}, jam) as feed:
            publish(feed, 1)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        work()


def test_a_port_in_use_is_named_with_what_to_try() -> None:
    endpoint = free_endpoint()
    with (
        Publisher(options_for(endpoint), {}),
        pytest.raises(FeedError, match=rf"{endpoint}: the port is in use.*--publish"),
    ):
        Publisher(options_for(endpoint), {}).__enter__()


def test_a_history_port_in_use_is_named_too() -> None:
    endpoint = free_endpoint()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as other:
        other.bind(parse_endpoint(endpoint).history)
        with pytest.raises(FeedError, match=parse_endpoint(endpoint).history):
            Publisher(options_for(endpoint), {}).__enter__()


@pytest.mark.parametrize(
    "endpoint", ["5556", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65535", "ipc://x:5", "tcp://a b:5556"]
)
def test_an_endpoint_that_cannot_be_is_refused_with_the_right_form(endpoint: str) -> None:
    with pytest.raises(FeedError, match=r"endpoint '.*'"):
        Publisher(options_for(endpoint), {}).__enter__()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(FeedError, match="name an address of this machine"):
        Publisher(options_for("tcp://192.0.2.1:5556", insecure=True), {}).__enter__()


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.168.1.5", "[::]", "eth0", "example.org"])
def test_other_machines_are_not_let_in_without_keys(host: str) -> None:
    with pytest.raises(FeedError, match=r"no keys.*--keys DIR.*--insecure"):
        Publisher(options_for(f"tcp://{host}:5556"), {}).__enter__()


def test_insecure_said_aloud_opens_it_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    port = free_endpoint().rpartition(":")[2]
    with Publisher(options_for(f"tcp://0.0.0.0:{port}", insecure=True), {}) as feed:
        publish(feed, 1)
        with Subscriber(f"tcp://127.0.0.1:{port}", since=0) as events:
            take(events, 1)
    assert "open to everyone" in caplog.text


def test_it_publishes_over_ipv6() -> None:
    port = free_endpoint().rpartition(":")[2]
    with Publisher(options_for(f"tcp://[::1]:{port}"), {}) as feed:
        publish(feed, 1)
        with Subscriber(f"tcp://[::1]:{port}", since=0) as events:
            assert take(events, 1)[0].sequence == 1


def test_two_publishers_on_one_journal_are_refused(tmp_path: Path) -> None:
    with (
        Publisher(options_for(None, tmp_path / "j.db"), {}),
        pytest.raises(JournalError, match="give each publisher its own --journal"),
    ):
        Publisher(options_for(None, tmp_path / "j.db"), {}).__enter__()


def test_a_failed_start_leaves_no_thread_and_no_lock(tmp_path: Path) -> None:
    taken = free_endpoint()
    with Publisher(options_for(taken), {}), pytest.raises(FeedError):
        Publisher(options_for(taken, tmp_path / "j.db"), {}).__enter__()
    with Publisher(options_for(None, tmp_path / "j.db"), {}) as feed:
        publish(feed, 1)


def test_numbers_and_feed_go_on_after_a_restart_and_the_run_changes(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    for _ in range(2):
        with Publisher(options_for(None, tmp_path / "j.db"), {}, lambda one: told.append(json.loads(one.body))) as feed:
            publish(feed, 2)
    assert [message["sequence"] for message in told] == [f"{number:020d}" for number in (1, 2, 3, 4)]
    assert len({message["feed"] for message in told}) == 1
    assert len({message["run"] for message in told}) == 2


def test_a_client_of_any_language_can_ask_for_state_history_and_schema() -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint), {"title": "flash"}) as feed:
        publish(feed, 7)
        wait_until(lambda: feed.counters.published == 7)
        (info,) = ask(endpoint, b'{"op":"info","request":5}')
        assert json.loads(info) | {"request": 5, "first": 1, "last": 7, "protocol": 1} == json.loads(info)
        head, *rows = ask(endpoint, b'{"op":"since","sequence":3,"limit":2}')
        assert json.loads(head)["count"] == 2
        assert [rows[0], int.from_bytes(rows[1], "big"), int.from_bytes(rows[4], "big")] == [b"ev.flash.cam", 4, 5]
        _, schema = ask(endpoint, b'{"op":"schema"}')
        assert json.loads(schema) == {"title": "flash"}


@pytest.mark.parametrize(
    "frames",
    [
        (b"",),
        (b"{",),
        (b'{"op":"drop table"}',),
        (b'{"op":"since","sequence":-1}',),
        (b'{"op":"since","sequence":1e99}',),
        (b'{"op":"since","limit":0}',),
        (b'{"op":"info"}', b"more"),
        (b"\xff\xfe",),
        (b"[" * 4000,),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_with_why(frames: tuple[bytes, ...]) -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint), {}) as feed:
        (answer,) = ask(endpoint, *frames)
        assert "request" in json.loads(answer)["error"]
        wait_until(lambda: feed.counters.requests_refused == 1)


def test_a_client_that_asks_too_often_is_left_without_answers_and_others_are_not() -> None:
    endpoint = free_endpoint()
    with (
        Publisher(options_for(endpoint, requests_per_second=10), {}) as feed,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as greedy,
    ):
        greedy.linger = 0
        greedy.connect(parse_endpoint(endpoint).history)
        for _ in range(60):
            greedy.send(b'{"op":"info"}')
        wait_until(lambda: feed.counters.requests_answered + feed.counters.requests_dropped >= 60)
        assert feed.counters.requests_dropped >= 30
        assert json.loads(ask(endpoint, b'{"op":"info"}')[0])["op"] == "info"


def test_a_subscriber_that_waited_gets_a_short_run_whole_though_it_has_ended() -> None:
    endpoint = free_endpoint()
    with Subscriber(endpoint) as events:
        assert events.receive(0.1) is None
        with Publisher(options_for(endpoint, farewell_seconds=1.0), {}) as feed:
            publish(feed, 5)
            got = take(events, 5)
    assert [one.sequence for one in got] == [1, 2, 3, 4, 5]


def test_a_topic_that_filters_could_not_name_is_refused() -> None:
    with Publisher(options_for(None), {}) as feed, pytest.raises(ValueError, match="topic"):
        feed.publish(topic="flash", type="t", subject="s", dataschema="d", data={})


def test_the_history_gives_the_schema_of_the_type_that_is_asked_for() -> None:
    options = options_for(free_endpoint())
    with Publisher(options, {"whole": 1}, data_schemas={"a.v1": {"of": "a"}}):
        endpoint = str(options.endpoint)
        assert json.loads(ask(endpoint, b'{"op":"schema"}')[1]) == {"whole": 1}
        assert json.loads(ask(endpoint, b'{"op":"schema","type":"a.v1"}')[1]) == {"of": "a"}
        (refused,) = ask(endpoint, b'{"op":"schema","type":"b.v1"}')
        assert "known are: a.v1" in json.loads(refused)["error"]
