"""BoundedWriter: adding never waits, order is kept, and what had no room is counted."""

import threading

import pytest

from detector.output.bounded_writer import ROOM, BoundedWriter

LIMIT_SECONDS = 20.0


def test_items_are_written_in_order_and_closing_waits_for_them() -> None:
    written: list[int] = []
    writer = BoundedWriter(written.append, name="test")
    assert all(writer.add(number) for number in range(100))
    assert writer.close(LIMIT_SECONDS) == 0
    assert written == list(range(100))


def test_what_has_no_room_is_counted_and_told_of_once_there_is_room_again() -> None:
    resumes = threading.Event()
    written: list[str] = []

    def write(item: str) -> None:
        assert resumes.wait(LIMIT_SECONDS)
        written.append(item)

    writer = BoundedWriter(write, name="test", notice=lambda missed: f"{missed} missed")
    added = sum(writer.add("item") for _ in range(ROOM + 3))
    assert (added, writer.missed, writer.wait(0)) == (ROOM, 3, False)
    assert writer.close(0) == ROOM
    resumes.set()
    assert writer.close(LIMIT_SECONDS) == 0
    assert written == ["item"] * ROOM + ["3 missed"]


def test_a_failure_ends_the_writing_and_is_kept() -> None:
    def fail(_item: str) -> None:
        raise OSError("no space")

    writer = BoundedWriter(fail, name="test")
    writer.add("item")
    writer.close(LIMIT_SECONDS)
    with pytest.raises(OSError, match="no space"):
        raise writer.failure or AssertionError


def test_a_writer_that_got_nothing_closes_at_once() -> None:
    assert BoundedWriter(print, name="test").close(0) == 0
