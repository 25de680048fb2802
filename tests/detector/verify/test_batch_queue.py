"""The queue of dynamic batching: fair between sources, bounded in size and wait."""

import threading
import time

import pytest

from detector.verify.batch_queue import BatchQueue, FairQueue, PendingRequest

NEVER = float("inf")


def request(source: str, asked: float = 0.0, deadline: float = 100.0) -> PendingRequest:
    return PendingRequest(source=source, asked=asked, deadline=deadline)


def queue_of(*requests: PendingRequest) -> FairQueue[PendingRequest]:
    queue: FairQueue[PendingRequest] = FairQueue()
    for one in requests:
        queue.add(one)
    return queue


def test_a_batch_takes_one_of_each_source_in_turn_oldest_first() -> None:
    busy = [request("busy", asked) for asked in range(4)]
    other = request("other", 9.0)
    queue = queue_of(*busy, other)
    assert queue.hold(3) == [busy[0], other, busy[1]]
    assert (queue.waiting_count, len(queue)) == (2, 5)


def test_what_expires_is_told_once_wherever_it_is() -> None:
    held, waiting, patient = request("a", 1.0, 5.0), request("b", 0.0, 6.0), request("c", 2.0, NEVER)
    queue = queue_of(held, waiting, patient)
    assert queue.hold(1) == [held]
    assert queue.next_deadline == 5.0
    assert queue.expire(10.0) == [waiting, held], "the longest waiting first"
    assert queue.expire(10.0) == []
    assert not queue.all_expired


def test_the_busiest_sources_oldest_is_dropped_and_never_one_that_somebody_waits_for() -> None:
    file = [request("file", asked, NEVER) for asked in range(3)]
    live = [request("live", asked) for asked in range(2)]
    queue = queue_of(*file, *live)
    assert queue.drop_oldest_of_busiest() is live[0]
    assert queue.drop_oldest_of_busiest() is live[1]
    assert queue.drop_oldest_of_busiest() is None
    assert queue.take_waiting() == file


def test_what_waits_can_be_withdrawn_and_what_is_held_cannot() -> None:
    first, second = request("a"), request("b")
    queue = queue_of(first, second)
    queue.hold(1)
    assert (queue.withdraw(first), queue.withdraw(second), queue.withdraw(second)) == (False, True, False)
    assert (queue.release(first), queue.release(first)) == (True, False)
    assert len(queue) == 0


def test_a_full_batch_is_handed_out_at_once_and_one_that_does_not_fill_after_its_wait() -> None:
    queue: BatchQueue[PendingRequest] = BatchQueue(0.1)
    began = time.monotonic()
    with queue.changed:
        for source in "abc":
            queue.add(request(source, began))
        assert len(queue.next_batch(2) or []) == 2
        assert time.monotonic() - began < 0.1
        queue.take_held()
        assert len(queue.next_batch(2) or []) == 1
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("filled", [True, False])
def test_a_wait_for_a_batch_ends_when_one_fills_and_when_the_queue_is_closed(*, filled: bool) -> None:
    queue: BatchQueue[PendingRequest] = BatchQueue(60.0)
    found: list[object] = []

    def wait() -> None:
        with queue.changed:
            found.append(queue.next_batch(1))

    waiting = threading.Thread(target=wait)
    waiting.start()
    one = request("a", time.monotonic())
    with queue.changed:
        if filled:
            queue.add(one)
            queue.changed.notify_all()
        else:
            queue.close()
    waiting.join(10)
    assert found == [[one] if filled else None]
    assert queue.closed is not filled


def test_several_batches_are_held_at_once_and_none_of_them_twice() -> None:
    queue = queue_of(*[request(source, asked) for asked, source in enumerate("abcabc")])
    first, second = queue.hold(2), queue.hold(3)
    assert [one.source for one in first + second] == ["a", "b", "c", "a", "b"]
    assert (queue.waiting_count, len(queue)) == (1, 6)
    assert queue.release(second[0])
    assert not queue.release(second[0])
    assert len(queue.take_held()) == 4


def test_given_up_requests_expire_before_their_deadline_and_the_others_do_not() -> None:
    stuck, fine = request("a", deadline=NEVER), request("b", deadline=NEVER)
    queue = queue_of(stuck, fine)
    queue.hold(1)
    assert queue.expire(10.0, [stuck]) == [stuck]
    assert queue.expire(10.0, [stuck]) == []


def test_while_nobody_is_idle_only_a_full_batch_is_handed_out_and_it_takes_more_where_more_wait() -> None:
    queue: BatchQueue[PendingRequest] = BatchQueue(0.0)
    idle = False
    found: list[int] = []

    def take() -> None:
        with queue.changed:
            while (batch := queue.next_batch(2, 4, lambda: idle)) is not None:
                found.append(len(batch))
                queue.changed.notify_all()

    def put(sources: str) -> None:
        for source in sources:
            queue.add(request(source))
        queue.changed.notify_all()

    def settled(expected: list[int]) -> bool:
        with queue.changed:
            return queue.changed.wait_for(lambda: found == expected, 10)

    taking = threading.Thread(target=take)
    taking.start()
    with queue.changed:
        put("a")
        assert not queue.changed.wait_for(lambda: found != [], 0.2), "a small batch was handed out to nobody"
        put("bcdef")
    assert settled([4, 2])
    with queue.changed:
        put("g")
    with queue.changed:
        idle = True
        queue.changed.notify_all()
    assert settled([4, 2, 1])
    with queue.changed:
        queue.close()
    taking.join(10)
