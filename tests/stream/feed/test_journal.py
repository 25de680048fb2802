"""The journal: numbered, on disk, one writer, oldest forgotten first."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.full_disk import full_disk
from stream import HistoryFilter, JournalError, read_history
from stream.feed.journal import Journal, JournalRecord, RelayPosition


def records(first: int, count: int, *, published: float = 0.0, size: int = 20) -> list[JournalRecord]:
    return [
        JournalRecord(
            topic="ev.flash.cam",
            sequence=number,
            body=b'"' + b"x" * size + b'"',
            id=f"id{number}",
            subject="cam",
            published_utc=published,
        )
        for number in range(first, first + count)
    ]


def test_what_was_appended_is_there_after_reopening_and_numbers_go_on(tmp_path: Path) -> None:
    with_messages = Journal(tmp_path / "j.db")
    with_messages.append(records(1, 3))
    with_messages.close()
    again = Journal(tmp_path / "j.db")
    assert (again.feed, again.first, again.last) == (with_messages.feed, 1, 3)
    assert [entry.sequence for entry in again.since(1, 10)] == [2, 3]
    again.close()


def test_a_journal_on_a_disk_that_is_full_from_the_start_is_named(tmp_path: Path) -> None:
    with full_disk(0), pytest.raises(JournalError, match=r"j\.db\.holder: cannot be written: .*; free disk space"):
        Journal(tmp_path / "j.db")
    Journal(tmp_path / "j.db").close()


def test_another_process_reads_what_append_has_returned_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.append(records(1, 2))
    count = (
        "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('select count(*) from message').fetchone()[0])"
    )
    seen = subprocess.run([sys.executable, "-c", count, tmp_path / "j.db"], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "2"
    journal.close()


def test_a_commit_is_all_or_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.append(records(1, 2))
    with pytest.raises(JournalError, match=r"j\.db: cannot write the journal"):
        journal.append([*records(3, 1), *records(2, 1)])
    assert [entry.sequence for entry in journal.since(0, 10)] == [1, 2]
    assert journal.last == 2
    journal.close()


def test_a_second_publisher_on_one_journal_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    with pytest.raises(JournalError, match=rf"another publisher \(process {os.getpid()}\)"):
        Journal(tmp_path / "j.db")
    journal.close()
    Journal(tmp_path / "j.db").close()


def test_a_killed_publisher_leaves_no_lock_behind(tmp_path: Path) -> None:
    hold = (
        "import sys,time; from pathlib import Path; from stream.feed.journal import Journal; "
        "j = Journal(Path(sys.argv[1]));"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{hold} print('held', flush=True); time.sleep(60)", tmp_path / "j.db"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder.stdout as said:
        assert said.readline() == "held\n"
        with pytest.raises(JournalError, match=str(holder.pid)):
            Journal(tmp_path / "j.db")
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    Journal(tmp_path / "j.db").close()


def test_numbers_never_come_back_even_when_everything_was_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.append(records(1, 5, published=0.0))
    assert journal.prune_age(1 * 86400) == 5
    assert (journal.first, journal.last) == (6, 5)
    journal.close()
    again = Journal(tmp_path / "j.db")
    assert (again.first, again.last) == (6, 5)
    again.close()


def test_only_messages_older_than_the_limit_are_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.append([*records(1, 3, published=0.0), *records(4, 2, published=1.5 * 86400)])
    assert journal.prune_age(1 * 86400) == 3
    assert [entry.sequence for entry in journal.since(0, 10)] == [4, 5]
    assert journal.prune_age(1 * 86400) == 0
    journal.close()


def test_a_clock_that_stepped_back_never_makes_a_later_message_go_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.append([*records(1, 2, published=10 * 86400), *records(3, 2, published=0.0)])
    assert journal.prune_age(9 * 86400) == 0
    assert journal.prune_age(11 * 86400) == 4
    journal.close()


def test_a_journal_beyond_its_size_forgets_the_oldest_and_the_file_shrinks(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    for first in range(1, 3001, 500):
        journal.append(records(first, 500, size=2000))
    before = (tmp_path / "j.db").stat().st_size
    while journal.prune_size(2):
        pass
    left = [entry.sequence for entry in journal.since(0, 5000)]
    assert left[-1] == 3000
    assert 500 < len(left) < 1000
    assert left == list(range(left[0], 3001))
    journal.close()
    assert (tmp_path / "j.db").stat().st_size < 2_100_000 < before


def test_how_far_a_relay_has_come_is_kept_in_the_same_commit(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    one, two = records(1, 2)
    journal.append(
        [replace(one, upstream=RelayPosition("far", "r1", 7)), replace(two, upstream=RelayPosition("far", "r1", 8))]
    )
    with pytest.raises(JournalError):
        journal.append([replace(two, upstream=RelayPosition("far", "r1", 9))])
    assert journal.upstreams() == [RelayPosition("far", "r1", 8)]
    journal.close()


def test_a_journal_deleted_while_in_use_is_written_again_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = Journal(path)
    journal.append(records(1, 3))
    assert not journal.restore_if_gone()
    for file in tmp_path.glob("j.db*"):
        if file.suffix not in {".lock", ".holder"}:
            file.unlink()
    assert journal.restore_if_gone()
    journal.append(records(4, 1))
    feed = journal.feed
    journal.close()
    again = Journal(path)
    assert (again.feed, [entry.sequence for entry in again.since(0, 10)]) == (feed, [1, 2, 3, 4])
    again.close()


def replaced_by_a_file(path: Path) -> Journal:
    """A journal of one message in use, at whose path another file lies now."""
    journal = Journal(path)
    journal.append(records(1, 1))
    other = path.with_name("other")
    other.write_bytes(b"precious")
    other.replace(path)
    return journal


def test_a_file_put_in_the_place_of_the_journal_is_set_aside_not_lost(tmp_path: Path) -> None:
    journal = replaced_by_a_file(tmp_path / "j.db")
    assert journal.restore_if_gone()
    assert (tmp_path / "j.db.replaced").read_bytes() == b"precious"
    assert [entry.sequence for entry in journal.since(0, 10)] == [1]
    journal.close()


def test_a_file_put_in_the_journals_place_is_kept_also_where_the_disk_is_full_at_first(tmp_path: Path) -> None:
    journal = replaced_by_a_file(tmp_path / "j.db")
    with full_disk(1000):
        for _ in range(2):
            with pytest.raises(JournalError, match=r"j\.db: cannot restore the journal"):
                journal.restore_if_gone()
    assert journal.restore_if_gone()
    assert (tmp_path / "j.db.replaced").read_bytes() == b"precious"
    assert [entry.sequence for entry in journal.since(0, 10)] == [1]
    journal.close()


def test_what_is_no_journal_is_refused_with_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database at all, but long enough to look at" * 10)
    with pytest.raises(JournalError, match="name another file"):
        Journal(tmp_path / "text.db")
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("create table birds(name)")
    foreign.close()
    with pytest.raises(JournalError, match="another program"):
        Journal(tmp_path / "foreign.db")
    with pytest.raises(JournalError, match="folder exists"):
        Journal(tmp_path / "nowhere" / "j.db")
    for folder in (tmp_path, Path(), Path("/")):
        with pytest.raises(JournalError, match="it is a folder; name a file in it"):
            Journal(folder)


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Journal(tmp_path / "j.db").close()
    newer = sqlite3.connect(tmp_path / "j.db")
    newer.execute("pragma user_version = 99")
    newer.close()
    with pytest.raises(JournalError, match="format 99"):
        Journal(tmp_path / "j.db")


def test_a_journal_in_memory_is_a_new_feed_each_time() -> None:
    first, second = Journal(None), Journal(None)
    first.append(records(1, 1))
    assert first.feed != second.feed
    assert (second.first, second.last) == (1, 0)
    assert not first.restore_if_gone()
    first.close()
    second.close()


def test_a_reader_that_pauses_does_not_keep_the_publishers_log_from_being_emptied(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    texts = dict.fromkeys(("id", "source", "type", "subject", "time", "dataschema", "feed", "run", "sequence"), "1")
    message = json.dumps(texts | {"data": {}}).encode()
    journal.append([replace(entry, body=message) for entry in records(1, 1200)])
    reader = read_history(tmp_path / "j.db", HistoryFilter())
    assert next(reader).sequence == 1
    journal.append([replace(entry, body=message) for entry in records(1201, 10)])
    checkpoint = journal._open.execute("pragma wal_checkpoint(truncate)").fetchone()
    assert checkpoint[0] == 0, "a reader was in the way"
    assert [one.sequence for one in reader] == list(range(2, 1201))
    journal.close()
