"""Old messages are deleted slowly and by time that passed, so that a clock that is set wrong costs nothing."""

import logging

import pytest

from stream.feed.journal import Journal, JournalRecord, Retention
from stream.feed.retention import Pruner

DAY = 86400.0
HOUR = 3600.0
BEGAN = 1000 * DAY
KEEP = Retention(days=30, megabytes=100)


class Run:
    """A journal of 1000 messages, a day for every ten of them, and a run whose clocks a test sets."""

    def __init__(self, clock_days_ahead: float) -> None:
        self.journal = Journal(None)
        self.journal.append([record(number, BEGAN - (1000 - number) * DAY / 10) for number in range(1, 1001)])
        self.lasted = 0.0
        self.ahead = clock_days_ahead * DAY
        self.pruner = Pruner(self.journal, lambda: BEGAN + self.ahead + self.lasted, lambda: self.lasted)

    def steps(self, count: int = 1) -> int:
        """The messages that are left after so many steps."""
        for _ in range(count):
            assert not self.pruner.step(KEEP)
        return self.journal.last - self.journal.first + 1


def record(number: int, published: float) -> JournalRecord:
    return JournalRecord(
        topic="ev.flash.cam", sequence=number, body=b"{}", id=str(number), subject="cam", published_utc=published
    )


@pytest.mark.parametrize("days_ahead", [0, 60, -60, 10_000])
def test_in_the_first_hour_nothing_is_deleted_for_its_age(days_ahead: float) -> None:
    run = Run(days_ahead)
    run.lasted = HOUR - 1
    assert run.steps(100) == 1000


def test_then_what_is_older_than_the_limit_goes_in_small_steps() -> None:
    run = Run(0)
    run.lasted = HOUR
    assert run.steps() == 900
    assert run.steps() == 800
    assert run.steps(100) == 300  # 30 days of ten messages


@pytest.mark.parametrize("days_ahead", [60, 10_000])
def test_a_clock_that_is_ahead_deletes_no_more_than_a_right_one(days_ahead: float) -> None:
    run = Run(days_ahead)
    run.lasted = HOUR
    assert run.steps(100) == 300
    run.lasted = 10 * DAY + HOUR
    assert run.steps(100) == 200


def test_a_clock_that_is_behind_deletes_nothing() -> None:
    run = Run(-60)
    run.lasted = 20 * DAY
    assert run.steps(100) > 600


@pytest.mark.parametrize(("days_ahead", "said"), [(60, "60.0 days after"), (-60, "60.0 days before"), (0.5, "")])
def test_a_clock_that_does_not_fit_the_newest_message_is_said_once(
    days_ahead: float, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(days_ahead)
    run.steps(3)
    assert [said in one.message for one in caplog.records] == [True] * bool(said)


def test_what_was_deleted_is_logged_once_in_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = Run(0)
    run.lasted = HOUR
    run.steps(6)
    run.lasted += 600
    run.steps()
    logged = [one.message for one in caplog.records]
    assert ["100 messages older than 30 days were deleted; it begins with number 101 now" in one for one in logged] == [
        True,
        False,
    ]
    assert "600 messages older than 30 days" in logged[1]


def test_a_journal_that_is_too_large_is_pruned_at_once_and_without_pause() -> None:
    journal = Journal(None)
    journal.append([record(number, 0.0) for number in range(1, 50_001)])
    pruner = Pruner(journal, lambda: 0.0, lambda: 0.0)
    assert pruner.step(Retention(days=30, megabytes=1))
    assert pruner.pruned == 2000
