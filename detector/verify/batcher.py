"""One verifier for the candidates of all cameras: batches with limits of size and wait, and an answer for each."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import BatcherSettings
from detector.verify.base import Verifier, asks_always, late_verdict, parallelism, verify_inline
from detector.verify.batch_queue import BatchQueue
from detector.verify.pending import NEVER, BatcherCounts, Call, PendingCandidate, UnverifiedWarning, VerdictCallback
from detector.verify.vlm.images import downscaled
from stream import redact

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 2.0  # at a stop, for batches that are nearly done
_JOIN_SECONDS = 10.0
_POLL_SECONDS = 0.5  # a signal sets `stop` without waking a thread


class Batcher:
    """Has `verifier` judge the candidates of all sources, and closes it in the end.

        with Batcher(verifier, settings.batcher) as batcher:
            batcher.ask(candidate, answer)
            batcher.drain()

    A ParallelVerifier is called from as many threads as it asks for: the next batches are prepared while its workers
    are busy, and grow while many candidates wait. `answer(candidate, verdict)` is called exactly once, or, for a live
    candidate past its deadline, first with an unverified verdict and again with the late one. A verifier that answers
    inline is asked at once, in order; a slow one in a thread of its own, and then `answer` runs in another thread of
    this object, with the candidate's frames downscaled. A SecondOpinion is asked about its inline verdicts, too, when
    nothing else waits: its additions are answered again. If a verifier raises, runs out of memory or falls silent, the
    candidate is answered as unverified.

    What `answer` raises in that thread is raised again from the next `ask` of a file, `drain` or the end of the block;
    a live camera's is logged too, and never raised in the thread of another. Once `stop` is set, neither a file nor
    `drain` waits for the verifier any longer.
    """

    def __init__(self, verifier: Verifier, settings: BatcherSettings, stop: threading.Event | None = None) -> None:
        self.counts = BatcherCounts()
        self._stop = stop or threading.Event()
        self._verifier = verifier
        self._settings = settings
        self._queue: BatchQueue[PendingCandidate] = BatchQueue(settings.batch_wait_ms / 1000.0)
        self._changed = self._queue.changed
        self._outbox: deque[tuple[PendingCandidate, Verdict]] = deque()
        self._undelivered = 0  # in the outbox or just being given
        self._finished = False  # answer what is in the outbox, then end
        self._parallelism = parallelism(verifier)
        self._calls: dict[int, Call] = {}
        self._batch_limit = max(settings.batch_size, self._parallelism.largest_batch)
        self._good_batches = 0
        self._error: BaseException | None = None
        self._late_warning, self._dropped_warning = UnverifiedWarning(), UnverifiedWarning()
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """How many candidates have no final verdict yet, or are just being told it."""
        with self._changed:
            return len(self._queue) + self._undelivered

    def ask(self, candidate: Candidate, answer: VerdictCallback, *, wait: bool = False) -> None:
        """Judge `candidate`.

        Args:
            candidate: a closed one.
            answer: called with it and its verdict.
            wait: block while too many wait (files); without it this never blocks.
        """
        if wait:
            self._raise_error()
        self.counts.asked += 1
        settled = verify_inline(self._verifier, candidate)
        if settled is not None:
            answer(candidate, settled)
            if settled.lightning is None or not asks_always(self._verifier):
                return
        try:
            candidate = downscaled(candidate, self._settings.picture_side_pixels)
        except Exception as error:  # noqa: BLE001 - whatever a decoder's frame does, the event must go out
            if settled is None:
                answer(candidate, self._late(candidate, f"its frames cannot be read: {redact(error)}"))
            return
        now = time.monotonic()
        deadline = NEVER if wait or settled is not None else now + self._settings.deadline_seconds
        with self._changed:
            if wait:
                self._wait_for_room()
            elif self._is_full:
                if settled is not None and self._queue.optional_count == 0:
                    return  # those that wait have no verdict yet
                self._make_room(now)
            self._queue.add(
                PendingCandidate(
                    source=candidate.camera,
                    asked=now,
                    deadline=deadline,
                    candidate=candidate,
                    answer=answer,
                    settled=settled,
                )
            )
            self._changed.notify_all()

    def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all that was asked is answered; False when `timeout_seconds` passed first, or it was stopped."""
        hurried = False
        end = float("inf") if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._changed:
            while not self._all_answered():
                if self._stop.is_set() and not hurried:
                    hurried, end = True, min(end, time.monotonic() + _GRACE_SECONDS)
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._raise_error()
                self._changed.wait(min(left, _POLL_SECONDS))
        self._raise_error()
        return True

    def __enter__(self) -> Self:
        verify = [(f"batcher-verify-{number}", self._verify_batches) for number in range(self._parallelism.calls)]
        for name, target in (*verify, ("batcher-answer", self._give_answers)):
            # Daemon: a verifier that never returns must not keep the program from ending.
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        *verify, answer = self._threads
        with self._changed:
            self._queue.close()
            for pending in self._queue.take_waiting():
                self._put(pending, self._late(pending.candidate, "stopped before the verifier was asked"))
        _join(verify, _GRACE_SECONDS)
        self._verifier.close()
        _join(verify, _JOIN_SECONDS)
        with self._changed:
            for pending in self._queue.take_held():
                self._put(pending, self._late(pending.candidate, "stopped before the verifier answered"))
            self._finished = True
            self._changed.notify_all()
        answer.join(_JOIN_SECONDS)
        for thread in self._threads:
            if thread.is_alive():
                _log.error("%s did not end within %.0f s and is left behind", thread.name, _JOIN_SECONDS)
        if error is None:
            self._raise_error()

    # -- asking the verifier: threads batcher-verify -----------------------------------------------------------

    def _verify_batches(self) -> None:
        me = threading.get_ident()
        while (batch := self._next_batch(me)) is not None:
            verdicts = self._judge([pending.candidate for pending in batch])
            with self._changed:
                del self._calls[me]
                for pending, verdict in zip(batch, verdicts, strict=True):
                    if self._queue.release(pending):
                        self._put(pending, verdict)
                self._changed.notify_all()

    def _next_batch(self, caller: int) -> list[PendingCandidate] | None:
        with self._changed:
            # Two settings: a batch is full at `batch_size`, and takes more of those that wait where that pays.
            full = min(self._settings.batch_size, self._batch_limit)
            batch = self._queue.next_batch(full, self._batch_limit, self._has_idle_worker)
            if batch is not None:
                self._calls[caller] = Call(time.monotonic(), batch)
            return batch

    def _has_idle_worker(self) -> bool:
        return len(self._calls) < self._parallelism.workers

    def _judge(self, candidates: list[Candidate]) -> list[Verdict]:
        """Return a verdict for each, even if the verifier fails; if memory runs out, the batch is halved."""
        name = self._verifier.name

        def all_late(why: str) -> list[Verdict]:
            return [self._late(candidate, why) for candidate in candidates]

        try:
            verdicts = self._verifier.verify(candidates)
        except MemoryError as error:
            half = len(candidates) // 2
            if half == 0:
                return all_late(f"out of memory with a batch of 1: {redact(error)}")
            _log.warning("%s: out of memory with a batch of %d, going on with %d", name, len(candidates), half)
            with self._changed:
                self._batch_limit, self._good_batches = min(half, self._batch_limit), 0
            return self._judge(candidates[:half]) + self._judge(candidates[half:])
        except Exception as error:  # noqa: BLE001 - any failure of a verifier is "no answer", never the end
            _log.error("%s failed on %d candidates: %s: %s", name, len(candidates), type(error).__name__, redact(error))
            return all_late(f"{type(error).__name__}: {redact(error)}")
        if len(verdicts) != len(candidates):
            return all_late(f"{len(verdicts)} verdicts for {len(candidates)} candidates")
        self._grow()
        return verdicts

    def _grow(self) -> None:
        """Raise the batch limit again, slowly, after memory ran out."""
        with self._changed:
            self._good_batches += 1
            most = max(self._settings.batch_size, self._parallelism.largest_batch)
            if self._batch_limit < most and self._good_batches % 32 == 0:
                self._batch_limit += 1

    # -- giving answers: thread batcher-answer -----------------------------------------------------------------

    def _give_answers(self) -> None:
        while (item := self._next_answer()) is not None:
            pending, verdict = item
            try:
                pending.answer(pending.candidate, verdict)
            except Exception as error:  # noqa: BLE001 - reaches the owner in the end; other cameras go on
                self._error = error
                if pending.droppable:
                    camera, kind = pending.candidate.camera, type(error).__name__
                    _log.error("%s: its verdict could not be told: %s: %s", camera, kind, redact(error))
            with self._changed:
                self._undelivered -= 1
                self._changed.notify_all()

    def _next_answer(self) -> tuple[PendingCandidate, Verdict] | None:
        with self._changed:
            while True:
                if self._outbox:
                    return self._outbox.popleft()
                if self._finished:
                    return None
                now = time.monotonic()
                if not self._expire(now):
                    self._changed.wait(min(self._queue.next_deadline - now, self._next_stuck_at(now) - now, 60.0))

    def _expire(self, now: float) -> bool:
        """Answer each candidate past its deadline as unverified.

        So are all candidates of a call that is stuck and, once all workers are stuck, the waiting ones.

        Returns:
            whether any candidate was answered.
        """
        given_up = [pending for call in self._calls.values() if self._stuck_at(call) <= now for pending in call.batch]
        nobody_left = self._is_stuck(now)
        late = self._queue.expire(float("inf") if nobody_left else now, given_up)
        for pending in late:
            if pending.settled is not None:
                continue
            waited = now - pending.asked
            stuck = nobody_left or pending in given_up
            why = (
                f"late: the verifier is silent for {self._settings.stuck_seconds:g} s"
                if stuck
                else f"late: no verdict within {self._settings.deadline_seconds:g} s"
            )
            self.counts.late += 1
            self._late_warning.count(f"{why}, the last after {waited:.1f} s", now)
            self._post(pending, self._late(pending.candidate, why))
        return bool(late)

    # -- shared, under the lock --------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        """Return whether no more may wait; of those under way one batch counts, as with a single worker."""
        waiting = self._queue.waiting_count
        under_way = min(len(self._queue) - waiting, self._settings.batch_size)
        return waiting + under_way >= self._settings.waiting_limit

    def _stuck_at(self, call: Call) -> float:
        return call.began + self._settings.stuck_seconds

    def _next_stuck_at(self, now: float) -> float:
        """Return when the next call will count as stuck, or infinity."""
        later = (self._stuck_at(call) for call in self._calls.values())
        return min((at for at in later if at > now), default=float("inf"))

    def _is_stuck(self, now: float) -> bool:
        """Return whether every worker is inside a call that does not return."""
        stuck = sum(self._stuck_at(call) <= now for call in self._calls.values())
        return stuck >= self._parallelism.workers

    def _put(self, pending: PendingCandidate, verdict: Verdict) -> None:
        """Post the last answer, unless it was answered `unverified` before and this says nothing more."""
        if verdict.lightning is None and (pending.expired or pending.settled is not None):
            return
        if verdict == pending.settled:
            return
        self._post(pending, verdict)

    def _post(self, pending: PendingCandidate, verdict: Verdict) -> None:
        self._outbox.append((pending, verdict))
        self._undelivered += 1

    def _wait_for_room(self) -> None:
        while self._is_full and not self._stop.is_set():
            if self._is_stuck(time.monotonic()):
                self._make_room(time.monotonic())
                return
            self._changed.wait(_POLL_SECONDS)
            self._raise_error()

    def _make_room(self, now: float) -> None:
        """Drop one waiting candidate of the camera that has the most of them waiting."""
        pending = self._queue.drop_oldest_of_busiest()
        if pending is None or pending.settled is not None:
            return
        why = f"too many candidates wait for the verifier: {self._settings.waiting_limit}"
        self.counts.dropped += 1
        self._dropped_warning.count(why, now)
        self._put(pending, self._late(pending.candidate, why))
        self._changed.notify_all()

    def _late(self, candidate: Candidate, why: str) -> Verdict:
        return late_verdict(self._verifier, candidate, why)

    def _all_answered(self) -> bool:
        if self._is_stuck(time.monotonic()):
            return self._undelivered == 0 and self._queue.all_expired
        return self._undelivered == 0 and len(self._queue) == 0

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait for all of them, at most `seconds` together."""
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
