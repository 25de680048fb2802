"""Reassembler: whatever is lost, doubled, late or restarted on the way, messages come out in order and once."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.reassembly import NO_JOURNAL, Listener, Publisher
from stream.feed.protocol import encode
from stream.feed.reassembly import Cursor

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("publish"), st.integers(1, 5), st.sampled_from(["all", "none", "doubled", "swapped", "last"])
        ),
        st.tuples(
            st.sampled_from(["heartbeat", "lost heartbeat", "ask", "ask and lose the answer", "late answer", "restart"])
        ),
        st.tuples(st.just("late frames"), st.integers(0, 50)),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_any_loss_doubling_swap_late_frame_and_restart_still_gives_each_message_once_in_order(
    steps: list[tuple[object, ...]],
) -> None:
    publisher, listener = Publisher(), Listener()
    late: list[list[bytes]] = []
    for name, *more in steps:
        play(publisher, listener, late, str(name), more)
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids
    assert "lost" not in listener.kinds


COPIES = st.lists(
    st.one_of(
        STEPS.map(lambda steps: steps[0] if steps else ("heartbeat",)), st.tuples(st.sampled_from(["copy", "put back"]))
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(steps=COPIES)
def test_even_with_older_copies_put_back_nothing_comes_twice_or_too_late_and_all_that_is_kept_comes(
    steps: list[tuple[object, ...]],
) -> None:
    publisher, listener = Publisher(), Listener()
    late: list[list[bytes]] = []
    for name, *more in steps:
        if name == "copy":
            publisher.copy()
        elif name == "put back":
            publisher.put_copy_back()
            publisher.publish(2)
            listener.catch_up(publisher)  # before the next start: see docs/feed.md
        else:
            play(publisher, listener, late, str(name), more)
    listener.catch_up(publisher)
    places = [publisher.ids.index(one) for one in listener.ids]
    assert places == sorted(set(places))
    assert {one.id for one in publisher.journal.since(0, 10_000)} <= set(listener.ids)


def play(publisher: Publisher, listener: Listener, late: list[list[bytes]], name: str, more: list[object]) -> None:
    """One thing that happens."""
    if name == "publish":
        packed = [one.frames() for one in publisher.publish(int(str(more[0])))]
        heard = {"all": packed, "none": [], "doubled": packed * 2, "swapped": packed[::-1], "last": packed[-1:]}
        for frames in heard[str(more[1])]:
            listener.hear(frames)
    elif name == "restart":
        publisher.restart()
    elif name == "heartbeat":
        listener.hear(publisher.heartbeat())
    elif name == "late frames":
        # What an earlier run sent may wait in a socket for as long as a subscriber is frozen.
        for frames in publisher.sent[int(str(more[0])) :]:
            listener.hear(frames)
    elif name == "late answer":
        for answer in late:
            listener.hear_answer(answer)
    elif name.startswith("ask"):
        answer = publisher.answer(listener.reassembler)
        if answer is not None and "lose" in name:
            late.append(answer)
        elif answer is not None:
            listener.hear_answer(answer)


def test_without_since_it_begins_with_what_comes_after_first_contact() -> None:
    publisher, listener = Publisher(), Listener(since=None)
    publisher.publish(5)
    listener.catch_up(publisher)
    for one in publisher.publish(2):
        listener.hear(one.frames())
    assert listener.ids == publisher.ids[5:]


def test_a_message_heard_before_the_first_answer_is_not_missed() -> None:
    publisher, listener = Publisher(), Listener(since=None)
    publisher.publish(5)
    for one in publisher.publish(1):
        listener.hear(one.frames())
    publisher.publish(1)
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids[5:]


def test_who_waited_before_the_publisher_started_gets_this_run_from_its_first_message() -> None:
    publisher, listener = Publisher(), Listener(since=None, waited=60.0)
    publisher.publish(3)
    publisher.restart()
    publisher.publish(4)
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids[3:]


def test_pruned_history_is_told_as_lost_with_its_numbers_and_the_rest_still_comes() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(3)
    listener.catch_up(publisher)
    publisher.publish(4)
    publisher.journal.prune_age(4e9)
    publisher.publish(2)
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids[:3] + publisher.ids[7:]
    assert listener.kinds == [NO_JOURNAL, "lost"]
    assert "4 messages (4 to 7)" in listener.notices[-1].text


def test_history_pruned_to_nothing_is_told_as_lost_too() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(3)
    publisher.journal.prune_age(4e9)
    listener.catch_up(publisher)
    assert listener.ids == []
    assert "3 messages (1 to 3)" in listener.notices[-1].text


def test_a_wiped_journal_is_a_new_feed_and_starts_with_its_first_message() -> None:
    before, after, listener = Publisher(), Publisher(), Listener(since=None)
    listener.catch_up(before)
    for one in before.publish(5):
        listener.hear(one.frames())
    after.publish(2)
    listener.catch_up(after)
    assert listener.ids == before.ids + after.ids
    assert listener.kinds == [NO_JOURNAL, "new_feed"]


def test_a_wiped_journal_heard_first_through_a_message_is_a_new_feed_too() -> None:
    before, after, listener = Publisher(), Publisher(), Listener()
    before.publish(5)
    listener.catch_up(before)
    for one in after.publish(3)[2:]:
        listener.hear(one.frames())
    listener.catch_up(after)
    assert listener.ids == before.ids + after.ids


def test_a_journal_put_back_from_an_older_copy_gives_its_new_messages_though_their_numbers_were_used() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(3)
    publisher.copy()
    publisher.publish(4)
    listener.catch_up(publisher)
    publisher.put_copy_back()
    fresh = publisher.publish(2)
    for one in fresh:
        listener.hear(one.frames())
    listener.catch_up(publisher)
    for frames in publisher.sent:
        listener.hear(frames)
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids
    assert [one.sequence for one in listener.got] == [1, 2, 3, 4, 5, 6, 7, 4, 5]
    assert listener.kinds == [NO_JOURNAL, "went_back"]


def test_a_feed_that_comes_through_two_endpoints_gives_each_message_once() -> None:
    publisher, listener = Publisher(), Listener()
    cursors: dict[str, Cursor] = {}
    first, second = (listener.another(cursors, 0, 0.0) for _ in range(2))
    for one in publisher.publish(6):
        for reassembler in (first, second):
            listener.reassembler = reassembler
            listener.hear(one.frames())
            listener.catch_up(publisher)
    assert listener.ids == publisher.ids


def test_a_number_beyond_the_feed_is_brought_back_to_its_end() -> None:
    publisher, listener = Publisher(), Listener(since=1000)
    publisher.publish(3)
    listener.catch_up(publisher)
    for one in publisher.publish(1):
        listener.hear(one.frames())
    assert listener.ids == publisher.ids[3:]
    assert listener.kinds == [NO_JOURNAL, "went_back"]


@settings(max_examples=300, deadline=None)
@given(frames=st.lists(st.binary(max_size=60) | st.sampled_from([b"hb", b"ev.flash.cam", bytes(8)]), max_size=5))
def test_frames_that_are_no_feed_are_told_and_change_nothing(frames: list[bytes]) -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(2)
    listener.hear(frames)
    listener.hear_answer(frames)
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids


def test_an_answer_that_holds_what_was_heard_meanwhile_gives_each_message_once() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(3)
    listener.catch_up(publisher)
    sent = [one.frames() for one in publisher.publish(3)]
    listener.hear(publisher.heartbeat())
    answer = publisher.answer(listener.reassembler)
    assert answer is not None
    for frames in sent[:2]:  # they come while the answer is on its way
        listener.hear(frames)
    listener.hear_answer(answer)
    assert [one.sequence for one in listener.got] == [1, 2, 3, 4, 5, 6]
    assert [one.from_history for one in listener.got] == [True] * 3 + [False] * 2 + [True]


def test_an_answer_that_comes_twice_counts_once() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(3)
    listener.hear(publisher.heartbeat())
    answer = publisher.answer(listener.reassembler)
    assert answer is not None
    publisher.restart()
    fresh = publisher.publish(1)
    for frames in (answer, answer):
        listener.hear_answer(frames)
    for one in fresh:
        listener.hear(one.frames())
    before = list(listener.got)
    listener.hear_answer(answer)  # of a run that is over
    assert listener.got == before
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids


def test_history_that_cannot_be_read_is_asked_again_and_skips_nothing() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(3)
    listener.hear(publisher.heartbeat())
    answer = publisher.answer(listener.reassembler)
    assert answer is not None
    listener.hear_answer([encode(msgspec.json.decode(answer[0]) | {"error": "locked", "count": 0})])
    assert listener.reassembler.history_failed
    assert listener.got == []
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids
