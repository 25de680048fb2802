"""Reassembler: what it asks, says and remembers, one rule each: what a single changed line in it would break."""

import msgspec
import pytest

from helpers.reassembly import OUTGOING, Listener, Publisher
from stream.feed.protocol import PAGE_MESSAGES, Request, encode
from stream.feed.reassembly import Cursor, Reassembler, StartPosition


def asked(listener: Listener) -> tuple[str, int, int] | None:
    """What it asks of the history now: operation, after which number, how many."""
    request = listener.reassembler.next_request()
    return request and (request.op, request.sequence, request.limit)


def numbers(listener: Listener) -> list[int]:
    return [one.sequence for one in listener.got]


def texts(listener: Listener) -> list[str]:
    return [notice.text for notice in listener.notices if not notice.kind.startswith("disk")]


def caught_up(count: int = 3, **more: object) -> tuple[Publisher, Listener]:
    publisher, listener = Publisher(), Listener(**more)  # type: ignore[arg-type]
    publisher.publish(count)
    listener.catch_up(publisher)
    return publisher, listener


def test_first_it_asks_which_feed_it_is_and_then_for_what_it_has_not() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(3)
    assert asked(listener) == ("info", 0, PAGE_MESSAGES)
    listener.hear_answer(publisher.answer(listener.reassembler) or [])
    assert listener.reassembler.feed == publisher.journal.feed
    assert asked(listener) == ("since", 0, PAGE_MESSAGES)
    listener.hear_answer(publisher.answer(listener.reassembler) or [])
    assert numbers(listener) == [1, 2, 3]
    assert asked(listener) is None


def test_requests_are_numbered_on_and_only_the_last_one_s_answer_counts() -> None:
    publisher, listener = Publisher(), Listener()
    publisher.publish(2)
    numbered = [listener.reassembler.next_request() for _ in range(3)]
    assert [one and one.request for one in numbered] == [1, 2, 3]
    assert listener.reassembler.history_failed is False
    assert all(isinstance(one, Request) for one in numbered)
    listener.hear_answer(publisher.history.answer([encode(numbered[1])], 0.0))
    assert listener.reassembler.feed is None
    answer = publisher.history.answer([encode(numbered[2])], 0.0)
    listener.hear_answer(answer)
    assert listener.reassembler.feed == publisher.journal.feed
    # An answer counts once, and no later request has its number.
    later = [listener.reassembler.next_request() for _ in range(2)]
    assert [one and one.request for one in later] == [5, 6]
    listener.hear_answer(publisher.answer(listener.reassembler) or [])
    assert asked(listener) is None
    assert listener.reassembler._asked == 8


def test_it_asks_only_for_what_is_missing_before_what_it_has_ahead() -> None:
    publisher, listener = caught_up(3)
    sent = [one.frames() for one in publisher.publish(10)]
    listener.hear(sent[4])
    assert asked(listener) == ("since", 3, 4)
    listener.hear(sent[9])
    assert asked(listener) == ("since", 3, 4)
    listener.hear(sent[0])
    assert (numbers(listener), asked(listener)) == ([1, 2, 3, 4], ("since", 4, 3))
    for frames in sent[1:4]:
        listener.hear(frames)
    assert numbers(listener) == [*range(1, 9)]
    assert asked(listener) == ("since", 8, 4)
    for frames in sent[5:9]:
        listener.hear(frames)
    assert numbers(listener) == [*range(1, 14)]
    assert asked(listener) is None


def test_it_asks_for_one_message_at_least_and_a_page_at_most() -> None:
    publisher, listener = caught_up(1)
    sent = [one.frames() for one in publisher.publish(PAGE_MESSAGES + 50)]
    listener.hear(sent[-1])
    assert asked(listener) == ("since", 1, PAGE_MESSAGES)
    publisher, listener = caught_up(1)
    publisher.restart()
    sent = [one.frames() for one in publisher.publish(1)]
    listener.hear(sent[0])  # of a run that it does not know
    assert asked(listener) == ("since", 1, PAGE_MESSAGES)


def test_a_heartbeat_that_tells_a_higher_number_is_reason_to_ask_and_one_that_does_not_is_none() -> None:
    publisher, listener = caught_up(3)
    listener.hear(publisher.heartbeat())
    assert asked(listener) is None
    publisher.publish(2)
    listener.hear(publisher.heartbeat())
    assert asked(listener) == ("since", 3, PAGE_MESSAGES)
    for frames in publisher.sent[-3:-1]:
        listener.hear(frames)
    assert (numbers(listener), asked(listener)) == ([1, 2, 3, 4, 5], None)


def test_an_older_heartbeat_makes_it_forget_nothing_that_is_missing() -> None:
    publisher, listener = caught_up(3)
    early = publisher.heartbeat()
    publisher.publish(2)
    listener.hear(publisher.heartbeat())
    listener.hear(early)
    assert asked(listener) == ("since", 3, PAGE_MESSAGES)
    sent = [one.frames() for one in publisher.publish(4)]
    listener.hear(sent[-1])
    listener.hear(sent[0])
    assert asked(listener) == ("since", 3, 2), "up to number 6, which is ahead"


def test_heartbeats_are_passed_on_and_tell_the_interval() -> None:
    publisher, listener = Publisher(), Listener()
    assert listener.reassembler.heartbeat_seconds is None
    listener.hear(publisher.heartbeat())
    ((endpoint, heartbeat),) = listener.heard
    assert (endpoint, heartbeat.feed, heartbeat.heartbeat_seconds) == ("tcp://x:1", publisher.journal.feed, 1.0)
    assert listener.reassembler.heartbeat_seconds == 1.0
    publisher, listener = Publisher(), Listener()
    listener.hear_answer(publisher.answer(listener.reassembler) or [])
    assert listener.reassembler.heartbeat_seconds == 1.0


def test_a_heartbeat_is_heard_also_where_nobody_asked_for_it() -> None:
    publisher, notices = Publisher(), []
    alone = Reassembler("tcp://x:1", {}, StartPosition(0, None, lambda: 0.0), notices.append)
    assert alone.on_event(publisher.heartbeat()) == []
    assert alone.heartbeat_seconds == 1.0


def test_where_it_began_is_remembered() -> None:
    publisher, listener = Publisher(), Listener(since=None)
    publisher.publish(3)
    assert listener.reassembler.started is None
    listener.catch_up(publisher)
    assert listener.reassembler.started == Cursor(publisher.sequencer.run, 3)
    publisher, listener = caught_up(3, since=1)
    assert listener.reassembler.started == Cursor(None, 1)
    assert numbers(listener) == [2, 3]


def test_each_message_carries_the_place_after_it_and_how_it_came() -> None:
    publisher, listener = caught_up(1)
    for one in publisher.publish(1):
        listener.hear(one.frames())
    run = publisher.sequencer.run
    assert [(one.endpoint, one.from_history, one.cursor) for one in listener.got] == [
        ("tcp://x:1", True, Cursor(run, 1)),
        ("tcp://x:1", False, Cursor(run, 2)),
    ]
    assert listener.got[1].topic == "ev.flash.cam"
    assert msgspec.json.decode(listener.got[1].body)["sequence"] == f"{2:020d}"


def test_what_waits_behind_a_gap_comes_as_live_once_the_gap_is_filled() -> None:
    publisher, listener = caught_up(1)
    sent = [one.frames() for one in publisher.publish(4)]
    for frames in sent[2:]:
        listener.hear(frames)
    listener.hear_answer(publisher.answer(listener.reassembler) or [])
    assert [(one.sequence, one.from_history) for one in listener.got] == [
        (1, True), (2, True), (3, True), (4, False), (5, False),
    ]  # fmt: skip
    assert asked(listener) is None


def test_a_thousand_messages_are_kept_ahead_and_those_beyond_are_fetched() -> None:
    publisher, listener = caught_up(1)
    sent = [one.frames() for one in publisher.publish(1003)]
    for frames in sent[1:]:
        listener.hear(frames)
    assert numbers(listener) == [1]
    listener.hear(sent[0])
    assert numbers(listener) == [*range(1, 1003)]
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids
    assert [one.sequence for one in listener.got if one.from_history] == [1, 1003, 1004]


def test_what_came_ahead_and_then_from_the_history_is_forgotten() -> None:
    publisher, listener = caught_up(1)
    sent = [one.frames() for one in publisher.publish(5)]
    listener.hear(sent[2])
    request = listener.reassembler.next_request()
    assert request is not None
    whole = msgspec.structs.replace(request, limit=5)
    listener.hear_answer(publisher.history.answer([encode(whole)], 0.0))
    assert numbers(listener) == [1, 2, 3, 4, 5, 6]
    assert listener.reassembler._ahead == {}
    more = [one.frames() for one in publisher.publish(3)]
    listener.hear(more[2])
    assert asked(listener) == ("since", 6, 2), "the nearest that is ahead is number 9"


def test_frames_of_an_earlier_run_are_not_believed_and_a_question_tells() -> None:
    publisher, listener = caught_up(2)
    old = [one.frames() for one in publisher.publish(1)]
    publisher.restart()
    publisher.publish(2)
    listener.catch_up(publisher)
    assert numbers(listener) == [1, 2, 3, 4, 5]
    listener.hear(old[0])
    assert numbers(listener) == [1, 2, 3, 4, 5]
    assert asked(listener) == ("since", 5, PAGE_MESSAGES)
    listener.hear_answer(publisher.answer(listener.reassembler) or [])
    assert asked(listener) is None
    assert texts(listener) == []


def test_a_restart_that_lost_nothing_is_not_told() -> None:
    publisher, listener = caught_up(3)
    publisher.restart()
    listener.catch_up(publisher)
    assert texts(listener) == []
    publisher.publish(1)
    listener.catch_up(publisher)
    assert numbers(listener) == [1, 2, 3, 4]


def test_numbers_that_went_back_are_told_with_where_it_goes_on() -> None:
    publisher, listener = caught_up(3)
    publisher.copy()
    publisher.publish(4)
    listener.catch_up(publisher)
    publisher.put_copy_back()
    publisher.publish(1)
    listener.catch_up(publisher)
    assert texts(listener) == [
        (
            "tcp://x:1: its numbers went back from 7 to 3 (was its journal put back from an older copy?); "
            "going on from there"
        )
    ]
    assert [(one.endpoint, one.kind) for one in listener.notices][-1] == ("tcp://x:1", "went_back")
    assert numbers(listener) == [1, 2, 3, 4, 5, 6, 7, 4]


def test_a_new_feed_is_told_by_its_name() -> None:
    before, listener = caught_up(2)
    after = Publisher()
    after.publish(1)
    listener.catch_up(after)
    was, now = before.journal.feed, after.journal.feed
    assert texts(listener) == [f"tcp://x:1: a new feed ({now} instead of {was}); starting with its first message"]
    assert listener.reassembler.started == Cursor(after.sequencer.run, 0)
    assert listener.ids == before.ids + after.ids


def test_a_feed_that_comes_back_goes_on_where_it_was() -> None:
    before, listener = caught_up(2)
    between = Publisher()
    between.publish(1)
    listener.catch_up(between)
    before.publish(2)
    listener.catch_up(before)
    assert listener.ids == [*before.ids[:2], *between.ids, *before.ids[2:]]
    assert listener.kinds.count("new_feed") == 2


def test_lost_messages_are_told_with_what_to_do() -> None:
    publisher, listener = caught_up(3)
    publisher.publish(4)
    publisher.journal.prune_age(4e9)
    publisher.publish(2)
    listener.catch_up(publisher)
    assert texts(listener) == [
        (
            "tcp://x:1: 4 messages (4 to 7) are no longer in its history; going on behind them. "
            "Subscribe more often, or raise feed.keep_days there"
        )
    ]
    assert listener.kinds[-1] == "lost"
    assert listener.got[-1].cursor == Cursor(publisher.sequencer.run, 9)


def test_what_is_no_message_is_told_and_the_next_ones_come() -> None:
    publisher, listener = caught_up(1)
    listener.hear([b"ev.flash.cam", b"short", b"{}"])
    listener.hear([b"hb", b"", b"nonsense"])
    listener.hear_answer([b"nonsense"])
    listener.hear([b"other", b"", b""])
    assert [notice.kind for notice in listener.notices[1:]] == ["not_understood"] * 3
    assert not [one for one in texts(listener) if "None" in one]
    first = texts(listener)[0]
    assert first == (
        "tcp://x:1: sent what is not of this protocol (a number of 5 bytes instead of 8); "
        "is it a lightning-detector feed?"
    )
    for one in publisher.publish(1):
        listener.hear(one.frames())
    assert numbers(listener) == [1, 2]


def test_a_damaged_message_in_the_history_is_left_out_and_the_rest_comes() -> None:
    publisher, listener = caught_up(1)
    publisher.publish(3)
    publisher.journal._open.execute("update message set body = 'no json' where sequence = 3")
    listener.catch_up(publisher)
    assert numbers(listener) == [1, 2, 4]
    assert listener.kinds[-1] == "not_understood"
    assert "malformed" in texts(listener)[-1]
    assert len(listener.notices) == 2
    assert listener.got[-1].cursor == Cursor(publisher.sequencer.run, 4)
    publisher.publish(1)
    publisher.journal._open.execute("update message set body = 'no json' where sequence = 5")
    listener.catch_up(publisher)
    assert listener.reassembler._cursors[publisher.journal.feed] == Cursor(publisher.sequencer.run, 5)


def test_a_publisher_that_cannot_write_is_told_once_and_so_is_its_recovery() -> None:
    publisher, listener = Publisher(), Listener()

    def heartbeat(*, durable: bool) -> list[bytes]:
        topic, number, body = publisher.history.heartbeat(0.0)
        return [topic, number, encode(msgspec.json.decode(body) | {"durable": durable})]

    listener.hear(heartbeat(durable=True))
    assert listener.notices == []
    for durable in (False, False, True, True, False):
        listener.hear(heartbeat(durable=durable))
    assert [(one.endpoint, one.kind) for one in listener.notices] == [
        ("tcp://x:1", "disk_trouble"), ("tcp://x:1", "disk_well"), ("tcp://x:1", "disk_trouble"),
    ]  # fmt: skip
    assert [one.text for one in listener.notices[:2]] == [
        "tcp://x:1: the publisher has no journal, or cannot write it: what it sends now, a crash there would lose",
        "tcp://x:1: the publisher writes its journal now",
    ]


def test_an_answer_about_another_feed_gives_nothing_and_asks_anew() -> None:
    before, listener = caught_up(2)
    after = Publisher()
    after.publish(2)
    before.publish(1)
    listener.hear(before.heartbeat())
    listener.hear_answer(after.answer(listener.reassembler) or [])
    assert numbers(listener) == [1, 2]
    assert asked(listener) == ("since", 0, PAGE_MESSAGES)
    listener.hear_answer(after.answer(listener.reassembler) or [])
    assert listener.ids == before.ids[:2] + after.ids


def test_a_history_that_fails_says_so_until_it_answers_again() -> None:
    publisher, listener = caught_up(1)
    publisher.publish(1)
    listener.hear(publisher.heartbeat())
    answer = publisher.answer(listener.reassembler)
    assert answer is not None
    assert listener.reassembler.history_failed is False
    listener.hear_answer([encode(msgspec.json.decode(answer[0]) | {"error": "locked", "count": 0}), *answer[1:]])
    assert listener.reassembler.history_failed is True
    assert numbers(listener) == [1]
    listener.catch_up(publisher)
    assert listener.reassembler.history_failed is False
    assert numbers(listener) == [1, 2]


@pytest.mark.parametrize(("waited", "first"), [(0.0, 6), (3600.0, 4)])
def test_a_run_younger_than_the_wait_is_received_from_its_beginning(waited: float, first: int) -> None:
    publisher = Publisher()
    publisher.publish(3)
    publisher.restart()
    publisher.publish(2)
    listener = Listener(since=None, waited=waited)
    listener.catch_up(publisher)
    publisher.publish(1)
    listener.catch_up(publisher)
    assert numbers(listener) == list(range(first, 7))


def test_a_message_of_another_feed_heard_first_says_nothing_of_where_this_one_begins() -> None:
    other, publisher, listener = Publisher(), Publisher(), Listener(since=None)
    listener.hear(other.publish(1)[0].frames())
    publisher.publish(5)
    listener.catch_up(publisher)
    publisher.publish(1)
    listener.catch_up(publisher)
    assert numbers(listener) == [6]


def test_the_first_message_heard_is_the_first_that_comes_though_more_were_heard() -> None:
    publisher, listener = Publisher(), Listener(since=None)
    publisher.publish(5)
    for one in publisher.publish(3):
        listener.hear(one.frames())
    listener.catch_up(publisher)
    assert numbers(listener) == [6, 7, 8]


def test_messages_are_those_that_were_published() -> None:
    _, listener = caught_up(1)
    (one,) = listener.got
    assert (one.message.data, one.message.type) == (OUTGOING.data, OUTGOING.type)


def test_it_asks_for_a_single_missing_message_alone() -> None:
    publisher, listener = caught_up(3)
    sent = [one.frames() for one in publisher.publish(2)]
    listener.hear(sent[1])
    assert asked(listener) == ("since", 3, 1)


def test_a_message_that_comes_twice_is_not_kept() -> None:
    publisher, listener = caught_up(1)
    sent = publisher.publish(1)[0].frames()
    for _ in range(2):
        listener.hear(sent)
    assert (numbers(listener), listener.reassembler._ahead) == ([1, 2], {})


def test_what_another_endpoint_has_given_meanwhile_is_not_asked_for() -> None:
    publisher, cursors = Publisher(), {}
    first, second = Listener(cursors), Listener(cursors)
    publisher.publish(1)
    for listener in (first, second):
        listener.catch_up(publisher)
    sent = [one.frames() for one in publisher.publish(5)]
    first.hear(sent[1])  # number 3, while 2 is missing
    for frames in sent[:2]:
        second.hear(frames)
    first.hear(sent[4])
    assert asked(first) == ("since", 3, 2), "3 came by the other: up to 6, which is ahead"
    second.hear(sent[2])
    first.hear(sent[3])
    assert (numbers(first), numbers(second)) == ([1, 5, 6], [2, 3, 4])


def test_one_number_before_what_is_ahead_where_the_other_endpoint_has_come_so_far_one_message_is_asked_for() -> None:
    publisher, cursors = Publisher(), {}
    first, second = Listener(cursors), Listener(cursors)
    publisher.publish(1)
    for listener in (first, second):
        listener.catch_up(publisher)
    sent = [one.frames() for one in publisher.publish(3)]
    first.hear(sent[2])  # number 4
    for frames in sent[:2]:
        second.hear(frames)
    assert asked(first) == ("since", 3, 1)


def test_it_goes_on_where_an_earlier_subscriber_was() -> None:
    publisher = Publisher()
    publisher.publish(5)
    feed = publisher.journal.feed
    cursors = {feed: Cursor(publisher.sequencer.run, 3)}
    resumed = Listener(cursors)
    resumed.reassembler = Reassembler("tcp://x:1", cursors, StartPosition(0, feed, lambda: 0.0), resumed.notices.append)
    assert asked(resumed) == ("since", 3, PAGE_MESSAGES)
    resumed.catch_up(publisher)
    assert numbers(resumed) == [4, 5]


def test_an_empty_feed_is_asked_once() -> None:
    publisher = Publisher()
    feed = publisher.journal.feed
    cursors = {feed: Cursor(publisher.sequencer.run, 0)}
    resumed = Listener(cursors)
    resumed.reassembler = Reassembler("tcp://x:1", cursors, StartPosition(0, feed, lambda: 0.0), resumed.notices.append)
    resumed.catch_up(publisher)
    assert asked(resumed) is None
    _, listener = caught_up(2)
    listener.catch_up(publisher)
    assert asked(listener) is None


def test_a_journal_put_back_to_nothing_is_asked_once() -> None:
    publisher, listener = caught_up(3)
    publisher.put_copy_back()
    listener.catch_up(publisher)
    assert asked(listener) is None
    assert "from 3 to 0" in texts(listener)[-1]
    for one in publisher.publish(1):
        listener.hear(one.frames())
    listener.catch_up(publisher)
    assert listener.ids == publisher.ids


def test_after_a_history_without_anything_left_the_next_message_comes_at_once() -> None:
    publisher, listener = caught_up(1)
    publisher.publish(3)
    publisher.journal.prune_age(4e9)
    listener.catch_up(publisher)
    assert listener.kinds[-1] == "lost"
    for one in publisher.publish(1):
        listener.hear(one.frames())
    assert numbers(listener) == [1, 5]
    assert asked(listener) is None


def test_an_answer_to_another_question_gives_nothing_and_is_no_fault() -> None:
    publisher, listener = caught_up(1)
    publisher.publish(1)
    listener.hear(publisher.heartbeat())
    request = listener.reassembler.next_request()
    assert request is not None
    schema = Request(op="schema", request=request.request)
    listener.hear_answer(publisher.history.answer([encode(schema)], 0.0))
    assert (numbers(listener), texts(listener)) == ([1], [])
    listener.catch_up(publisher)
    assert numbers(listener) == [1, 2]


def test_what_is_ahead_is_forgotten_also_where_it_is_the_last_that_the_history_gave() -> None:
    publisher, listener = caught_up(1)
    sent = [one.frames() for one in publisher.publish(5)]
    listener.hear(sent[2])
    request = listener.reassembler.next_request()
    assert request is not None
    whole = msgspec.structs.replace(request, limit=3)
    listener.hear_answer(publisher.history.answer([encode(whole)], 0.0))
    assert (numbers(listener), listener.reassembler._ahead) == ([1, 2, 3, 4], {})
