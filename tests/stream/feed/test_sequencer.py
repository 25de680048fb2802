"""The sequencer: numbers go on while the journal cannot be written, and everything follows into it later."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from helpers.waiting import wait_until
from stream import HistoryFilter, read_history
from stream.feed.journal import Journal, Retention
from stream.feed.sequencer import OutgoingMessage, Sequencer

OUTGOING = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"camera": "cam"})


@pytest.fixture
def sequencer(tmp_path: Path) -> Iterator[Sequencer]:
    sequencer = Sequencer(Journal(tmp_path / "j.db", busy_seconds=0.02), "test")
    yield sequencer
    sequencer.close()


@pytest.fixture
def locker(tmp_path: Path, sequencer: Sequencer) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the journal, which can lock it."""
    connection = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
    yield connection
    connection.close()


def durable(body: bytes) -> bool:
    return bool(msgspec.json.decode(body)["durable"])


def test_a_locked_journal_makes_messages_not_durable_and_they_follow_into_it_when_it_is_free(
    sequencer: Sequencer, locker: sqlite3.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sequencer.add([OUTGOING] * 2)
    locker.execute("begin immediate")
    held = sequencer.add([OUTGOING] * 3)
    assert [one.sequence for one in held] == [3, 4, 5]
    assert not any(durable(one.body) for one in held)
    assert not sequencer.durable
    assert "another program holds it locked" in caplog.text
    assert [one.sequence for one in sequencer.page(0, 10)] == [1, 2, 3, 4, 5]

    locker.execute("rollback")
    wait_until(lambda: sequencer.recover() or sequencer.durable)
    after = sequencer.add([OUTGOING])
    assert durable(after[0].body)
    kept = locker.execute("select sequence, body from message order by sequence").fetchall()
    assert [number for number, _ in kept] == [1, 2, 3, 4, 5, 6]
    assert [body for _, body in kept[2:5]] == [one.body for one in held]
    assert sequencer.not_durable == 3


def test_a_journal_whose_folder_gave_way_to_a_file_is_written_again_when_the_folder_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    sequencer = Sequencer(Journal(folder / "j.db"), "test")
    sequencer.add([OUTGOING] * 2)
    folder.rename(tmp_path / "moved")
    folder.touch()
    sequencer.maintain(Retention(30, 1000))
    assert "cannot restore the journal: Not a directory; check that its folder exists" in caplog.text
    assert not durable(sequencer.add([OUTGOING])[0].body)

    folder.unlink()
    folder.mkdir()
    wait_until(lambda: sequencer.recover() or sequencer.durable)
    sequencer.close()
    assert [one.sequence for one in read_history(folder / "j.db", HistoryFilter())] == [1, 2, 3]


def test_what_waits_is_written_when_the_feed_ends(sequencer: Sequencer, locker: sqlite3.Connection) -> None:
    locker.execute("begin immediate")
    sequencer.add([OUTGOING])
    locker.execute("rollback")
    sequencer.close()
    assert locker.execute("select count(*) from message").fetchone() == (1,)


def test_a_page_is_bounded_in_bytes_but_never_empty(tmp_path: Path) -> None:
    sequencer = Sequencer(Journal(None), "test")
    large = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"text": "x" * 300_000})
    sequencer.add([large, large, OUTGOING])
    assert [one.sequence for one in sequencer.page(0, 10)] == [1]
    assert [one.sequence for one in sequencer.page(2, 10)] == [3]
    sequencer.close()


def test_a_clock_that_is_set_after_the_start_makes_nothing_old_that_was_just_published() -> None:
    clock = [86400.0]
    sequencer = Sequencer(Journal(None), "test", lambda: clock[0])
    sequencer.add([OUTGOING] * 3)
    clock[0] = 1.8e9
    sequencer.add([OUTGOING])
    assert not sequencer.maintain(Retention(days=30, megabytes=100))
    assert [one.sequence for one in sequencer.page(0, 10)] == [1, 2, 3, 4]
    sequencer.close()


def test_a_clock_that_steps_back_changes_the_times_and_nothing_else() -> None:
    times = iter([1_000_000.0, 500_000.0, 500_001.0, 500_002.0])
    sequencer = Sequencer(Journal(None), "test", clock=lambda: next(times))
    bodies = [sequencer.add([OUTGOING])[0].body for _ in range(3)]
    messages = [msgspec.json.decode(body) for body in bodies]
    assert [message["sequence"] for message in messages] == [f"{number:020d}" for number in (1, 2, 3)]
    assert messages[1]["time"] < messages[0]["time"]
    sequencer.maintain(Retention(days=1, megabytes=10))
    assert [one.sequence for one in sequencer.page(0, 10)] == [1, 2, 3]
    sequencer.close()


FULL_DISK = """
import json, resource, signal, sys, time
from pathlib import Path
from stream import HistoryFilter, read_history
from stream.feed.sequencer import OutgoingMessage, Sequencer
from stream.feed.journal import Journal

def add(count):
    message = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"text": "x" * 2000})
    return [json.loads(one.body)["durable"] for one in sequencer.add([message] * count)]

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
sequencer = Sequencer(Journal(path), "test")
before = add(5)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))  # the disk is full: no file grows beyond
during = [flag for _ in range(20) for flag in add(20)]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
deadline = time.monotonic() + 10
while not sequencer.durable and time.monotonic() < deadline:
    sequencer.recover()
    time.sleep(0.05)
after = add(1)
sequencer.close()
journal = Journal(path)
print(json.dumps({"before": before, "during": during, "after": after,
                  "kept": [entry.sequence for entry in journal.since(0, 10_000)]}))
"""


def test_a_full_disk_is_said_loudly_and_survived_and_every_message_ends_up_on_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "j.db"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert all(result["before"])
    assert not all(result["during"])
    assert result["after"] == [True]
    assert result["kept"] == list(range(1, 5 + 400 + 2))
    assert "cannot write the journal" in done.stderr
    assert "disk" in done.stderr
    assert "j.db: the journal can be written again" in done.stderr


KILLED_IN_TROUBLE = """
import json, os, sqlite3, sys
from pathlib import Path
from stream import HistoryFilter, read_history
from stream.feed.sequencer import OutgoingMessage, Sequencer
from stream.feed.journal import Journal

draft = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"camera": "cam"})
sequencer = Sequencer(Journal(Path(sys.argv[1]), busy_seconds=0.02), "test")
sequencer.add([draft] * 2)
locker = sqlite3.connect(sys.argv[1], isolation_level=None)
locker.execute("begin immediate")
sequencer.add([draft] * 3)
os._exit(9)
"""


def test_numbers_that_died_with_a_publisher_in_trouble_are_never_given_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_TROUBLE, path], capture_output=True, text=True, check=False, timeout=60
    )
    assert killed.returncode == 9, killed.stderr
    sequencer = Sequencer(Journal(path), "test")
    assert [one.sequence for one in sequencer.page(0, 10)] == [1, 2]
    assert sequencer.add([OUTGOING])[0].sequence == 6
    sequencer.close()
    again = Sequencer(Journal(path), "test")
    assert (again.run_first, again.position.first, again.position.last) == (7, 1, 6)
    again.close()
    for file in (path, path.with_name("j.db-wal"), path.with_name("j.db-shm")):
        file.unlink(missing_ok=True)
    fresh = Sequencer(Journal(path), "test")
    assert fresh.add([OUTGOING])[0].sequence == 1, "a wiped journal is another feed, and begins anew"
    fresh.close()
