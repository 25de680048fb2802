"""subscribe, history, keys and relay as a user runs them: output, messages, exit codes."""

import csv
import io
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.cli.commands.relay import relay as carry
from detector.cli.main import main
from detector.events import FLASH_SCHEMA, FLASH_TYPE
from helpers.feed import LIMIT_SECONDS, flash, free_endpoint, options_for, publish, take
from helpers.storms import made_flash
from stream import FeedError, HistoryFilter, Publisher, Subscriber, read_history


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of six messages of two cameras, and a real flash as the seventh."""
    path = tmp_path / "events.db"
    with Publisher(options_for(None, path), {}) as feed:
        for n in range(6):
            publish(feed, 1, camera=f"cam{n % 2}", id=f"flash-{n // 4}", state=("detected", "confirmed")[n // 2 % 2])
        feed.publish(topic="ev.flash.cam", type=FLASH_TYPE, subject="cam", dataschema=FLASH_SCHEMA, data=flash())
    return path


@pytest.fixture
def served(journal: Path) -> Iterator[str]:
    """The endpoint of a feed that has that journal."""
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint, journal), {}):
        yield endpoint


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_subscribe_json_prints_each_message_as_it_was_published(
    served: str, journal: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["subscribe", served, "--since", "0", "--count", "7", "--seconds", "20", "--json"]) == 0
    assert capfdbinary.readouterr().out.splitlines() == [one.body for one in read_history(journal, HistoryFilter())]


def test_subscribe_shows_a_line_for_each_message(served: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["subscribe", served, "--since", "0", "--count", "7", "--seconds", "20"]) == 0
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 8
    camera, state, date, time, _local, _zone, *shown = out.splitlines()[-1].split()[3:]
    assert (camera, state, date, time) == ("cam", "confirmed", "2026-11-22", "21:29:03.372")
    assert shown == ["0.200", "40.0", "0.97", "cam-1.000s-aaaa"]
    assert f"{served}: connected" in err


def test_a_flash_whose_utc_is_unknown_is_shown_with_the_seconds_of_its_source(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Publisher(options_for(None, tmp_path / "events.db"), {}) as feed:
        publish(feed, 1, id="a", state="confirmed", start_seconds=61.5, start_utc=None)
    assert main(["history", str(tmp_path / "events.db")]) == 0
    assert capfd.readouterr().out.splitlines()[-1].split()[3:] == ["cam", "confirmed", "61.500", "a"]


def test_subscribe_filters_by_camera_and_state(served: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--since", "0", "--camera", "cam1", "--state", "confirmed", "--count", "1", "--seconds", "20", "--json"]
    assert main(["subscribe", served, *words]) == 0
    (message,) = lines(capfd.readouterr().out)
    assert (message["subject"], message["sequence"]) == ("cam1", f"{4:020d}")


def test_subscribe_with_a_cursor_goes_on_where_it_ended(
    served: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [served, "--since", "0", "--cursor", str(tmp_path / "place"), "--seconds", "20", "--json", "--quiet"]
    assert main(["subscribe", *words, "--count", "3"]) == 0
    assert main(["subscribe", *words, "--count", "4"]) == 0
    out, err = capfd.readouterr()
    assert [message["sequence"] for message in lines(out)] == [f"{number:020d}" for number in range(1, 8)]
    assert err == ""


def test_subscribe_fails_when_the_messages_did_not_come_in_time(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["subscribe", free_endpoint(), "--count", "1", "--seconds", "0.3"]) == 1
    assert "0 of 1 messages came within 0.3 s" in capfd.readouterr().err


def test_subscribe_for_some_seconds_is_done_when_they_are_over(served: str) -> None:
    assert main(["subscribe", served, "--seconds", "0.5"]) == 0


def test_exec_runs_a_command_for_each_message_with_its_json(
    served: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = f"sh -c 'cat >> {tmp_path / 'seen'}'"
    assert main(["subscribe", served, "--since", "0", "--count", "7", "--seconds", "30", "--exec", command]) == 0
    assert [message["sequence"] for message in lines((tmp_path / "seen").read_text())] == [
        f"{number:020d}" for number in range(1, 8)
    ]


def test_exec_at_several_at_a_time_runs_them_all(served: str, tmp_path: Path) -> None:
    command = f"sh -c 'sleep 0.1; cat >> {tmp_path / 'seen'}'"
    words = ["--since", "0", "--count", "7", "--seconds", "30", "--exec", command, "--exec-jobs", "3"]
    assert main(["subscribe", served, *words]) == 0
    assert {message["sequence"] for message in lines((tmp_path / "seen").read_text())} == {
        f"{number:020d}" for number in range(1, 8)
    }


def test_exec_that_fails_or_hangs_is_said_with_its_message_and_the_rest_goes_on(
    served: str, capfd: pytest.CaptureFixture[str]
) -> None:
    hang = "sh -c 'read line; case $line in *0002\\\"*) sleep 60;; *0003\\\"*) exit 7;; esac'"
    words = ["--since", "0", "--count", "4", "--seconds", "30", "--exec", hang, "--exec-seconds", "0.5"]
    assert main(["subscribe", served, *words]) == 1
    err = capfd.readouterr().err
    assert "message 2 (cam1): sh ran longer than 0.5 s and was stopped" in err
    assert "message 3 (cam0): sh ended with code 7" in err
    assert "2 of 4 runs of --exec failed" in err


def test_exec_of_a_program_that_is_not_there_is_said(served: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--since", "0", "--count", "1", "--seconds", "20", "--exec", "no-such-program"]
    assert main(["subscribe", served, *words]) == 1
    assert "cannot run no-such-program" in capfd.readouterr().err


@pytest.mark.parametrize(("program", "why"), [("missing", "no such program"), ("siren.sh", "chmod +x")])
def test_exec_of_what_cannot_be_run_is_said_at_once_though_no_message_comes(
    program: str, why: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "siren.sh").write_text("#!/bin/sh\n")
    assert main(["subscribe", free_endpoint(), "--seconds", "0.5", "--exec", f"{tmp_path / program} --loud"]) == 1
    err = capfd.readouterr().err
    assert f"--exec: cannot run {tmp_path / program}: " in err
    assert why in err


def test_ctrl_c_ends_subscribe_cleanly(served: str) -> None:
    words = [sys.executable, "-m", "detector", "subscribe", served, "--since", "0", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert json.loads(first)["sequence"] == "00000000000000000001"
    assert process.returncode == 0, err
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [["--since", "-1"], ["--since", "x"], ["--count", "0"], ["--seconds", "soon"], ["--exec-jobs", "0"]],
)
def test_flags_that_cannot_be_are_wrong_use(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["subscribe", "tcp://127.0.0.1:5556", *words])
    assert ended.value.code == 2
    assert words[0] in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ([], "1234567"),
        (["--camera", "cam1"], "246"),
        (["--state", "confirmed"], "347"),
        (["--since", "4"], "567"),
        (["--newest", "2"], "67"),
        (["--newest", "1", "--camera", "cam0"], "5"),
        (["--latest"], "467"),
        (["--latest", "--state", "confirmed"], "47"),
        (["--to", "2020-01-01"], ""),
        (["--from", "2020-01-01", "--camera", "cam0", "--camera", "cam1"], "123456"),
    ],
)
def test_history_finds_what_is_asked_for(
    words: list[str], numbers: str, journal: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", str(journal), "--json", *words]) == 0
    assert [str(int(message["sequence"])) for message in lines(capfd.readouterr().out)] == list(numbers)


def test_history_reads_while_a_publisher_writes(served: str, journal: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as publisher:
        publisher.execute("begin immediate")
        publisher.execute("update message set body = ''")  # not committed: nobody else may see it
        assert main(["history", str(journal)]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 8


def test_history_as_csv_has_numbers_and_units_in_its_head(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Publisher(options_for(None, tmp_path / "j.db"), {}) as feed:
        feed.publish(topic="ev.flash.cam", type=FLASH_TYPE, subject="cam", dataschema=FLASH_SCHEMA, data=flash())
        publish(feed, 0)
    assert main(["history", str(tmp_path / "j.db"), "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capfd.readouterr().out))
    assert (row["sequence"], row["revision"], row["camera"], row["duration_seconds"]) == ("1", "2", "cam", "0.2")


def test_history_of_what_is_no_journal_is_one_clear_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("not a journal " * 100)
    for path, said in ((tmp_path / "missing", "no journal here"), (tmp_path / "text", "cannot read the journal")):
        assert main(["history", str(path)]) == 1
        err = capfd.readouterr().err
        assert said in err
        assert len(err.splitlines()) == 1


def test_keys_from_nothing_to_a_subscriber_that_is_let_in(
    tmp_path: Path, journal: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, key, endpoint = str(tmp_path / "keys"), str(tmp_path / "wall.key"), free_endpoint()
    assert main(["keys", "server", "--keys", folder]) == 0
    assert main(["keys", "client", "wall", "--keys", folder, "--out", key]) == 0
    words = [endpoint, "--since", "0", "--count", "7", "--seconds", "20", "--json"]
    with Publisher(options_for(endpoint, journal, keys=tmp_path / "keys"), {}):
        assert main(["subscribe", *words, "--key", key]) == 0
        assert main(["subscribe", *words]) == 1
        assert "key" in capfd.readouterr().err
    assert main(["keys", "revoke", "wall", "--keys", folder]) == 0
    capfd.readouterr()
    assert main(["keys", "list", "--keys", folder]) == 0
    assert "wall" in capfd.readouterr().out
    assert main(["keys", "revoke", "wall", "--keys", folder]) == 1
    assert main(["keys", "list"]) == 2
    assert "--keys DIR" in capfd.readouterr().err


def relay(sources: list[str], endpoint: str, journal: Path, *more: str) -> "subprocess.Popen[bytes]":
    words = ["relay", *sources, "--publish", endpoint, "--journal", str(journal), *more]
    return subprocess.Popen([sys.executable, "-m", "detector", *words], stderr=subprocess.DEVNULL)


def test_a_relay_killed_at_any_moment_merges_two_feeds_without_loss_or_doubles(tmp_path: Path) -> None:
    sources, endpoint = [free_endpoint(), free_endpoint()], free_endpoint()
    merged = tmp_path / "merged.db"
    with (
        Publisher(options_for(sources[0], tmp_path / "a.db", site="a"), {}) as a,
        Publisher(options_for(sources[1], tmp_path / "b.db", site="b"), {}) as b,
        Subscriber(endpoint, since=0) as events,
    ):
        got = []
        for _ in range(3):
            process = relay(sources, endpoint, merged)
            try:
                for feed in (a, b):
                    publish(feed, 50)
                got += take(events, 60)
                for feed in (a, b):
                    publish(feed, 50)
            finally:
                process.kill()
                process.wait()
        process = relay(sources, endpoint, merged)
        try:
            got += take(events, 600 - len(got))
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT_SECONDS) == 0
    assert [one.sequence for one in got] == list(range(1, 601))
    for name, feed in (("a", a), ("b", b)):
        own = [one.message for one in got if one.message.originfeed == feed.feed]
        kept = list(read_history(tmp_path / f"{name}.db", HistoryFilter()))
        assert [message.originsequence for message in own] == [f"{n:020d}" for n in range(1, 301)]
        assert [(m.id, m.source, m.time, m.data) for m in own] == [
            (k.message.id, k.message.source, k.message.time, k.message.data) for k in kept
        ]


def test_a_relay_with_storms_joins_the_cameras_of_its_sites_and_leaves_what_they_tell_as_it_is(tmp_path: Path) -> None:
    sources, endpoint, now = [free_endpoint(), free_endpoint()], free_endpoint(), time.time() - 60
    with (
        Publisher(options_for(sources[0], tmp_path / "a.db", site="a"), {}) as a,
        Publisher(options_for(sources[1], tmp_path / "b.db", site="b"), {}) as b,
        Subscriber(endpoint, since=0) as events,
    ):
        process = relay(sources, endpoint, tmp_path / "all.db", "--storms", "all")
        try:
            for second in (0.0, 20.0):
                for site, feed in (("a", a), ("b", b)):
                    seen = made_flash(second, "roof", utc=now, id=f"{site}{second}", clock="rtcp", utc_error_ms=3.0)
                    feed.publish(
                        topic="ev.flash.roof", type=FLASH_TYPE, subject="roof", dataschema=FLASH_SCHEMA, data=seen
                    )
            a.publish(topic="ev.storm.a", type="lightning.storm.v1", subject="a", dataschema="urn:x", data={"of": "a"})
            got = take(events, 8)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT_SECONDS) == 0
    groups = [one.message.data for one in got if one.topic == "ev.group.all"]
    assert [sorted(member["site"] for member in group["members"]) for group in groups] == [["a", "b"]] * 2
    (storm,) = [one.message for one in got if one.topic == "ev.storm.all"]
    assert (storm.source, storm.data["state"], storm.data["flash_count"]) == ("urn:lightning-detector:site", "began", 2)
    assert [one.message.data for one in got if one.topic == "ev.storm.a"] == [{"of": "a"}]


def test_a_relay_whose_own_feed_has_ended_says_so_though_nothing_comes() -> None:
    def jam(_message: object) -> None:
        raise RuntimeError("paper jam")

    feed = Publisher(options_for(None), {}, jam).__enter__()
    publish(feed, 1)
    with Subscriber(free_endpoint()) as quiet, pytest.raises(FeedError, match="it has ended: paper jam"):
        carry(quiet, feed, threading.Event(), time.monotonic() + LIMIT_SECONDS)
    with pytest.raises(RuntimeError):
        feed.__exit__(None, None, None)


def test_a_relay_without_a_journal_or_an_endpoint_says_what_it_needs(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "tcp://127.0.0.1:5556", "--publish", free_endpoint()]) == 2
    assert "--journal FILE" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("endpoint", "published"),
    [
        ("tcp://[::1]:5556", "tcp://[::]:5556"),
        ("tcp://[::1]:5556", "tcp://localhost:5556"),
        ("tcp://127.0.0.2:5556", "tcp://*:5556"),
        ("tcp://localhost:05556", "tcp://0.0.0.0:5556"),
        ("tcp://roof:5556", "tcp://roof:5556"),
    ],
)
def test_a_relay_knows_its_own_endpoint_in_every_spelling(
    endpoint: str, published: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = "tcp://127.0.0.1:5560"
    words = ["relay", other, endpoint, "--publish", published, "--journal", str(tmp_path / "all.db"), "--insecure"]
    assert main([*words, "--seconds", "0.1"]) == 2
    assert f"relay: {endpoint} is where --publish {published} will be" in capfd.readouterr().err


def test_a_relay_may_publish_on_the_port_that_another_machine_uses(tmp_path: Path) -> None:
    published = free_endpoint()
    other = published.replace("127.0.0.1", "192.0.2.1")
    words = ["relay", other, "--publish", published, "--journal", str(tmp_path / "all.db")]
    assert main([*words, "--seconds", "0.1"]) == 0


def test_a_message_that_comes_back_through_a_second_relay_is_not_relayed_again(tmp_path: Path) -> None:
    source, first, second = free_endpoint(), free_endpoint(), free_endpoint()
    with Publisher(options_for(source), {}) as feed, Subscriber(first, since=0) as events:
        one = relay([source, second], first, tmp_path / "one.db")
        two = relay([first], second, tmp_path / "two.db")
        try:
            publish(feed, 5)
            assert [event.sequence for event in take(events, 5)] == [1, 2, 3, 4, 5]
            with Subscriber(second, since=0) as others:
                take(others, 5)
            assert events.receive(1.0) is None
        finally:
            for process in (one, two):
                process.kill()
                process.wait()
