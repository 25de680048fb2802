"""The sequencer's messages, numbers and words, one rule each: what a single changed line in it would break."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.errors import JournalError
from stream.feed.journal import Journal, JournalRecord, RelayPosition, Retention
from stream.feed.message import Message
from stream.feed.protocol import PAGE_BYTES
from stream.feed.sequencer import OutgoingMessage, Sequencer

OUTGOING = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"camera": "cam"})
KEEP = Retention(days=30, megabytes=100)
NAME = "journal in memory"


class Troubled(Journal):
    """A journal in memory that counts as one on disk, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__(None)
        self.broken: set[str] = set()
        self.gone = False
        self.reserved: list[int] = []

    def _check(self, what: str) -> None:
        if what in self.broken:
            raise JournalError(f"{self.name}: cannot {what} the journal")

    @property
    def durable(self) -> bool:
        return True

    def append(self, records: Sequence[JournalRecord]) -> None:
        self._check("write")
        super().append(records)

    def reserve(self, sequence: int) -> None:
        self.reserved.append(sequence)

    def knows(self, message_id: str) -> bool:
        self._check("read")
        return super().knows(message_id)

    def prune_size(self, megabytes: float) -> int:
        self._check("prune")
        return super().prune_size(megabytes)

    def restore_if_gone(self) -> bool:
        self._check("restore")
        was, self.gone = self.gone, False
        return was


class Run:
    """A sequencer over a troubled journal, with clocks that a test sets."""

    def __init__(self) -> None:
        self.journal = Troubled()
        self.utc, self.now = 1_000_000.0, 100.0
        self.sequencer = Sequencer(self.journal, "roof", lambda: self.utc, lambda: self.now)

    def add(self, *messages: OutgoingMessage) -> list[dict[str, Any]]:
        return [json.loads(one.body) for one in self.sequencer.add(messages)]

    @property
    def kept(self) -> list[int]:
        return [record.sequence for record in self.journal.since(0, 100_000)]


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    caplog.set_level(logging.INFO, "stream.feed")
    made = Run()
    yield made
    made.journal.broken.clear()
    made.sequencer.close()


def relayed(number: int, **more: Any) -> OutgoingMessage:
    """A message of another feed."""
    original: Message[object] = Message(
        id=f"there-{number}", source="urn:lightning-detector:there", type="test.v1", subject="cam",
        time="2026-11-22T21:29:03.000001Z", dataschema="urn:test", feed="theirs", run="r", sequence=f"{number:020d}",
        data={"n": number}, **more,
    )  # fmt: skip
    place = RelayPosition("theirs", "r", number)
    return OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"n": number}, original, place)


def test_a_message_says_who_published_it_when_and_as_what(run: Run) -> None:
    first, second = run.add(OUTGOING, OUTGOING)
    assert first == {
        "specversion": "1.0", "id": f"{run.sequencer.run}-1", "source": "urn:lightning-detector:roof",
        "type": "test.v1", "subject": "cam", "time": "1970-01-12T13:46:40.000000Z", "dataschema": "urn:test",
        "feed": run.journal.feed, "run": run.sequencer.run, "sequence": f"{1:020d}", "durable": True,
        "data": {"camera": "cam"},
    }  # fmt: skip
    assert (second["id"], second["sequence"]) == (f"{run.sequencer.run}-2", f"{2:020d}")
    (record, _) = run.journal.since(0, 10)
    assert (record.topic, record.id, record.subject, record.published_utc) == (
        "ev.flash.cam", first["id"], "cam", 1_000_000.0,
    )  # fmt: skip
    assert len(run.sequencer.run) == 12


def test_a_relayed_message_keeps_what_it_was_and_says_where_it_came_from(run: Run) -> None:
    run.add(OUTGOING)
    (message,) = run.add(relayed(7))
    assert (message["id"], message["source"], message["time"]) == (
        "there-7", "urn:lightning-detector:there", "2026-11-22T21:29:03.000001Z",
    )  # fmt: skip
    assert (message["feed"], message["sequence"]) == (run.journal.feed, f"{2:020d}")
    assert (message["originfeed"], message["originsequence"]) == ("theirs", f"{7:020d}")
    assert run.journal.upstreams() == [RelayPosition("theirs", "r", 7)]


def test_one_that_was_relayed_before_keeps_its_first_origin(run: Run) -> None:
    (message,) = run.add(relayed(7, originfeed="first", originsequence=f"{3:020d}"))
    assert (message["originfeed"], message["originsequence"]) == ("first", f"{3:020d}")


def test_a_message_of_this_feed_names_no_origin(run: Run) -> None:
    (message,) = run.add(OUTGOING)
    assert "originfeed" not in message
    assert "originsequence" not in message


def test_a_relayed_message_that_is_known_is_left_out_in_one_call_and_the_next(run: Run) -> None:
    given = run.add(relayed(1), relayed(1), OUTGOING, relayed(2), OUTGOING)
    assert [one["data"] for one in given] == [{"n": 1}, {"camera": "cam"}, {"n": 2}, {"camera": "cam"}]
    assert [one["sequence"] for one in given] == [f"{n:020d}" for n in (1, 2, 3, 4)]
    assert run.add(relayed(2), relayed(1)) == []
    assert run.sequencer.last == 4
    assert [one["data"] for one in run.add(relayed(2), relayed(3))] == [{"n": 3}]


def test_a_relayed_message_that_waits_in_memory_is_known_too(run: Run) -> None:
    run.journal.broken = {"write"}
    run.add(relayed(1))
    assert [one["data"] for one in run.add(OUTGOING, relayed(1), relayed(2))] == [{"camera": "cam"}, {"n": 2}]


def test_a_journal_that_cannot_be_asked_lets_a_message_come_twice_rather_than_not_at_all(run: Run) -> None:
    run.add(relayed(1))
    run.journal.broken = {"read"}
    assert [one["data"] for one in run.add(relayed(1), relayed(2))] == [{"n": 1}, {"n": 2}]


def test_nothing_to_add_changes_nothing(run: Run) -> None:
    run.add(OUTGOING)
    before = run.sequencer.position
    assert list(run.sequencer.add([])) == []
    assert run.sequencer.position == before


def test_its_position_tells_feed_run_and_numbers(run: Run) -> None:
    position = run.sequencer.position
    assert (position.run_first, position.first, position.last, position.run_seconds) == (1, 1, 0, 0.0)
    run.add(OUTGOING, OUTGOING)
    run.now += 2.00049
    position = run.sequencer.position
    assert (position.feed, position.run) == (run.journal.feed, run.sequencer.run)
    assert (position.run_first, position.first, position.last, position.run_seconds) == (1, 1, 2, 2.0)
    again = Sequencer(run.journal, "roof").position
    assert (again.run_first, again.first, again.last) == (3, 1, 2)
    assert again.run != position.run


def test_the_first_number_is_that_of_the_oldest_message_in_memory_where_the_journal_is_empty(run: Run) -> None:
    run.journal.broken = {"write"}
    run.add(OUTGOING, OUTGOING)
    assert (run.sequencer.position.first, run.sequencer.position.last) == (1, 2)
    run.journal.broken = set()
    run.sequencer.recover(now=True)
    run.journal.broken = {"write"}
    run.add(OUTGOING)
    assert run.sequencer.position.first == 1
    run.journal.prune_age(4e9)
    assert run.sequencer.position.first == 3


def test_in_trouble_messages_are_numbered_counted_and_their_numbers_reserved(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    assert run.sequencer.durable
    run.journal.broken = {"write"}
    given = run.add(OUTGOING, OUTGOING)
    assert [(one["sequence"], one["durable"]) for one in given] == [(f"{n:020d}", False) for n in (1, 2)]
    assert run.journal.reserved == [2]
    assert (run.sequencer.last, run.sequencer.not_durable, run.sequencer.durable) == (2, 2, False)
    run.add(OUTGOING)
    assert (run.journal.reserved, run.sequencer.last, run.sequencer.not_durable) == ([2, 3], 3, 3)
    assert [record.getMessage() for record in caplog.records] == [
        f"{NAME}: cannot write the journal. Going on without it: messages are marked durable: false and held in memory"
    ]
    assert caplog.records[0].levelno == logging.ERROR
    assert run.sequencer.dropped == 0


def test_a_journal_in_memory_alone_makes_no_message_durable() -> None:
    sequencer = Sequencer(Journal(None), "roof")
    (message,) = (json.loads(one.body) for one in sequencer.add([OUTGOING]))
    assert (message["durable"], sequencer.durable, sequencer.not_durable) == (False, False, 1)
    sequencer.close()


def test_it_tries_again_after_a_second_and_not_before_and_says_what_followed(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.journal.broken = {"write"}
    run.add(OUTGOING, OUTGOING)
    run.now += 1.0
    run.sequencer.recover()  # in vain: the next try is a second later
    run.journal.broken = set()
    run.now += 0.99
    run.sequencer.recover()
    assert (run.kept, run.sequencer.durable) == ([], False)
    caplog.clear()
    run.now += 0.01
    run.sequencer.recover()
    assert (run.kept, run.sequencer.durable) == ([1, 2], True)
    assert [record.getMessage() for record in caplog.records] == [
        f"{NAME}: the journal can be written again; 2 messages followed into it"
    ]
    assert run.add(OUTGOING)[0]["durable"]
    assert [one.sequence for one in run.sequencer.page(0, 10)] == [1, 2, 3]


def test_the_first_try_comes_a_second_after_the_trouble_or_at_once_where_that_is_asked(run: Run) -> None:
    run.journal.broken = {"write"}
    run.add(OUTGOING)
    run.journal.broken = set()
    run.now += 0.99
    run.sequencer.recover()
    assert not run.sequencer.durable
    run.sequencer.recover(now=True)
    assert (run.kept, run.sequencer.durable) == ([1], True)


def test_adding_tries_again_by_itself(run: Run) -> None:
    run.journal.broken = {"write"}
    run.add(OUTGOING)
    run.journal.broken = set()
    run.now += 1.0
    assert run.add(OUTGOING)[0]["durable"]
    assert run.kept == [1, 2]


def test_of_too_many_messages_in_memory_the_oldest_are_dropped_counted_and_told_once(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.journal.broken = {"write"}
    run.sequencer.add([OUTGOING] * 20_000)
    assert run.sequencer.dropped == 0
    assert "the oldest are dropped" not in caplog.text
    caplog.clear()
    for more, dropped in ((1, 1), (4, 5)):
        run.sequencer.add([OUTGOING] * more)
        assert run.sequencer.dropped == dropped
        assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
            (
                logging.ERROR,
                f"{NAME}: more than 20000 messages wait for the journal; the oldest are dropped, free disk space",
            )
        ]
    run.journal.broken = set()
    run.sequencer.recover(now=True)
    assert (run.kept[0], run.kept[-1], len(run.kept)) == (6, 20_005, 20_000)


def test_a_page_ends_at_its_limit_or_its_size_and_goes_on_in_memory(run: Run) -> None:
    run.add(*[OUTGOING] * 3)
    run.journal.broken = {"write"}
    run.add(*[OUTGOING] * 3)

    def page(after: int, limit: int) -> list[int]:
        return [one.sequence for one in run.sequencer.page(after, limit)]

    assert page(0, 10) == [1, 2, 3, 4, 5, 6]
    assert page(0, 4) == [1, 2, 3, 4]
    assert page(4, 10) == [5, 6]
    assert page(6, 10) == []
    assert page(1, 1) == [2]


def test_a_page_is_as_large_as_allowed_and_no_larger(run: Run) -> None:
    def padded(size: int) -> OutgoingMessage:
        return OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"x": "x" * size})

    (empty,) = run.sequencer.add([padded(0)])
    half = PAGE_BYTES // 2 - len(empty.body)
    run.sequencer.add([padded(half), padded(half), padded(0)])
    assert [one.sequence for one in run.sequencer.page(1, 10)] == [2, 3]
    assert sum(len(one.body) for one in run.sequencer.page(1, 10)) == PAGE_BYTES
    run.sequencer.add([padded(half + 1), padded(half)])
    assert [one.sequence for one in run.sequencer.page(4, 10)] == [5]


def test_maintenance_restores_a_deleted_journal_and_says_so(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.journal.gone = True
    assert run.sequencer.maintain(KEEP) is False
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.ERROR,
            f"{NAME}: the journal was deleted while in use; it was written again from what was still open",
        )
    ]


def test_maintenance_of_a_journal_that_cannot_be_restored_is_trouble(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.journal.broken = {"restore"}
    assert run.sequencer.maintain(KEEP) is False
    assert not run.sequencer.durable
    assert f"{NAME}: cannot restore the journal. Going on without it" in caplog.text
    run.journal.broken = set()
    run.now += 0.5
    assert run.sequencer.maintain(KEEP) is False
    assert not run.sequencer.durable
    run.now += 0.5
    run.sequencer.maintain(KEEP)
    assert run.sequencer.durable


def test_recovering_restores_a_deleted_journal_before_it_writes(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.journal.broken = {"write"}
    run.add(OUTGOING)
    run.journal.broken, run.journal.gone = set(), True
    run.sequencer.recover(now=True)
    assert "it was written again from what was still open" in caplog.text
    assert run.kept == [1]


def test_maintenance_prunes_what_is_too_large_step_by_step(run: Run) -> None:
    large = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"x": "x" * 10_000})
    run.sequencer.add([large] * 100)
    small = Retention(days=30, megabytes=0.5)
    assert run.sequencer.maintain(small) is True
    assert run.sequencer.pruned == 100 - len(run.kept) > 40
    while run.sequencer.maintain(small):
        pass
    assert run.sequencer.maintain(KEEP) is False
    assert run.kept[-1] == 100


def test_in_trouble_nothing_is_pruned(run: Run) -> None:
    run.sequencer.add([OUTGOING] * 3)
    run.journal.broken = {"write"}
    run.add(OUTGOING)
    assert run.sequencer.maintain(Retention(days=30, megabytes=0.0)) is False
    assert run.kept == [1, 2, 3]


def test_old_messages_that_cannot_be_deleted_stay_and_that_is_no_trouble(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.journal.broken = {"prune"}
    assert run.sequencer.maintain(KEEP) is False
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"{NAME}: cannot prune the journal. Old messages stay for now")
    ]
    assert run.sequencer.durable


def test_the_age_of_messages_counts_by_the_clocks_it_was_given() -> None:
    run = Run()
    run.add(OUTGOING, OUTGOING)
    later = Sequencer(run.journal, "roof", lambda: run.utc, lambda: run.now)
    run.utc += 31 * 86400.0
    run.now += 31 * 86400.0
    later.maintain(KEEP)
    assert run.kept == []
    assert later.pruned == 2


def test_what_cannot_be_written_in_the_end_is_told_with_its_number(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.journal.broken = {"write"}
    run.add(OUTGOING, OUTGOING)
    caplog.clear()
    run.sequencer.close()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.ERROR,
            f"{NAME}: 2 messages could not be journalled; subscribers who had not got them lose them",
        )
    ]
    with pytest.raises(JournalError, match="closed"):
        run.journal.newest_utc()


def test_the_end_writes_what_waits_at_once_and_says_nothing_of_loss(
    run: Run, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    run.journal.broken = {"write"}
    run.add(OUTGOING)
    run.journal.broken = set()
    run.sequencer.close()
    assert "1 messages followed into it" in caplog.text
    assert "could not be journalled" not in caplog.text


def test_what_msgspec_cannot_encode_is_refused_before_anything_is_numbered(run: Run) -> None:
    strange = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", object())
    with pytest.raises((TypeError, msgspec.MsgspecError)):
        run.sequencer.add([strange])
    assert (run.sequencer.last, run.kept) == (0, [])
