"""What `watch` prints never holds up what it publishes; readers that leave are no error of any command."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from detector.errors import OutputError
from detector.events import FLASH_SCHEMA, FLASH_TYPE
from detector.output.printer import EventPrinter
from helpers.feed import LIMIT_SECONDS, flash, options_for, publish
from helpers.waiting import wait_until
from stream import Publisher, WireMessage


def full_disk(_message: WireMessage) -> None:
    Path("/dev/full").write_bytes(b"x")


def test_events_are_printed_in_order_and_leaving_prints_what_waits() -> None:
    shown: list[int] = []
    with EventPrinter(lambda message: shown.append(message.sequence), only=True).running() as printer:
        for number in range(100):
            printer.add(WireMessage("ev.flash.cam", number, b"{}"))
    assert shown == list(range(100))


def test_a_reader_that_pauses_holds_up_neither_the_feed_nor_the_end(caplog: pytest.LogCaptureFixture) -> None:
    resumes = threading.Event()
    printer = EventPrinter(lambda *_event: resumes.wait(LIMIT_SECONDS) and None, only=False)

    def told(message: WireMessage) -> None:
        printer.add(message)

    with printer.running(), Publisher(options_for(None), {}, told) as feed:
        publish(feed, 10_100)
        wait_until(lambda: feed.counters.published == 10_100)
    resumes.set()
    assert "further ones are not printed" in caplog.text
    assert "were not printed" in caplog.text


def test_a_full_disk_ends_the_printing_with_one_warning_and_not_the_feed(caplog: pytest.LogCaptureFixture) -> None:
    printer = EventPrinter(full_disk, only=False)

    def told(message: WireMessage) -> None:
        printer.add(message)

    with printer.running(), Publisher(options_for(None), {}, told) as feed:
        publish(feed, 100)
        wait_until(lambda: feed.counters.published == 100)
        printer.check()
    assert [record.getMessage() for record in caplog.records] == [
        "stdout: cannot print events: No space left on device; watching and publishing go on"
    ]


def test_a_full_disk_is_an_error_where_events_go_nowhere_else() -> None:
    def watch_until_it_fails() -> None:
        with EventPrinter(full_disk, only=True).running() as printer:
            printer.add(WireMessage("ev.flash.cam", 1, b"{}"))
            wait_until(printer.check)

    with pytest.raises(OutputError, match="No space left"):
        watch_until_it_fails()


def test_a_disk_that_is_full_for_the_last_events_is_an_error_too_where_they_go_nowhere_else() -> None:
    printer = EventPrinter(full_disk, only=True)
    with pytest.raises(OutputError, match="cannot print events: No space left"), printer.running():
        printer.add(WireMessage("ev.flash.cam", 1, b"{}"))  # nobody checks any more before the run ends


@pytest.mark.parametrize("form", ["--json", "--csv", "--newest=1"])
def test_history_whose_reader_has_left_ends_without_an_error(form: str, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with Publisher(options_for(None, path), {}) as feed:
        feed.publish(topic="ev.flash.cam", type=FLASH_TYPE, subject="cam", dataschema=FLASH_SCHEMA, data=flash())
    leaves, stays = os.pipe()
    os.close(leaves)
    words = [sys.executable, "-m", "detector", "history", str(path), form]
    done = subprocess.run(words, stdout=stays, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(stays)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["--json", "--csv", "--newest=1"])
def test_history_onto_a_full_disk_is_one_line_and_no_success(form: str, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with Publisher(options_for(None, path), {}) as feed:
        feed.publish(topic="ev.flash.cam", type=FLASH_TYPE, subject="cam", dataschema=FLASH_SCHEMA, data=flash())
    words = [sys.executable, "-m", "detector", "history", str(path), form]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        "lightning-detector: stdout: cannot write results: No space left on device; free disk space\n"
    )
