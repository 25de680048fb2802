"""Candidates of all cameras share one verifier: batches under a size and a wait limit, and an answer for each."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import BatcherSettings
from detector.verify.batch_queue import Ticket, TicketQueue
from detector.verify.factory import Verifier, answer_at_once, unverified
from detector.verify.vlm.images import compact
from stream import redact

VerdictCallback = Callable[[Candidate, Verdict], None]

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 2.0  # for what is nearly done when we stop
_JOIN_SECONDS = 10.0
_LOOK_SECONDS = 0.5  # a signal sets `stop` without waking anybody
_LOG_SECONDS = 60.0


@dataclass(slots=True)
class BatcherCounts:
    """What has happened so far. late: answered `unverified` at the deadline; shed: because too many waited."""

    asked: int = 0
    late: int = 0
    shed: int = 0


@dataclass(slots=True)
class _Late:
    """Says once a minute how many were late or shed since the last time."""

    since: int = 0
    said: float = field(default=float("-inf"))

    def note(self, why: str, now: float) -> None:
        self.since += 1
        if now - self.said >= _LOG_SECONDS:
            _log.warning("%d candidates published as unverified: %s", self.since, why)
            self.since, self.said = 0, now


class Batcher:
    """Has `verifier` judge the candidates of all sources, and closes it in the end.

        with Batcher(verifier, settings.batcher) as batcher:
            batcher.ask(candidate, answer)
            batcher.drain()

    `answer(candidate, verdict)` is called exactly once, or, for a live candidate past its deadline, first with an
    unverified verdict and again with the late one. A verifier that answers at once is asked inline, in order; a slow
    one in a thread of its own, and then `answer` runs in another thread of this object, with the candidate's pictures
    made small. A verifier that raises, runs out of memory or falls silent costs the answer, never the candidate.

    What `answer` raises in that thread is raised again from the next `ask` of a file, `drain` or the end of the block;
    a live camera's is logged too, and never raised in the thread of another. Once `stop` is set, neither a file nor
    `drain` waits for the verifier any longer.
    """

    def __init__(self, verifier: Verifier, settings: BatcherSettings, stop: threading.Event | None = None) -> None:
        self.counts = BatcherCounts()
        self._stop = stop or threading.Event()
        self._verifier = verifier
        self._settings = settings
        self._queue = TicketQueue()
        self._outbox: deque[tuple[Ticket, Verdict]] = deque()
        self._undelivered = 0  # in the outbox or just being given
        self._changed = threading.Condition()
        self._stopping = False  # take no more batches
        self._finished = False  # answer what is in the outbox, then end
        self._call_began: float | None = None
        self._batch_limit = settings.batch_size
        self._good_batches = 0
        self._error: BaseException | None = None
        self._late, self._shed = _Late(), _Late()
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """How many candidates have no final verdict yet, or are just being told it."""
        with self._changed:
            return len(self._queue) + self._undelivered

    def ask(self, candidate: Candidate, answer: VerdictCallback, *, wait: bool = False) -> None:
        """Have `candidate` judged. With `wait` (files) this blocks while too many wait; without, it never does."""
        if wait:
            self._raise_error()
        self.counts.asked += 1
        verdict = answer_at_once(self._verifier, candidate)
        if verdict is None:
            try:
                candidate = compact(candidate, self._settings.picture_side_pixels)
            except Exception as error:  # noqa: BLE001 - whatever a decoder's picture does, the event must go out
                verdict = unverified(self._verifier.name, f"its pictures cannot be read: {redact(error)}")
        if verdict is not None:
            answer(candidate, verdict)
            return
        now = time.monotonic()
        deadline = float("inf") if wait else now + self._settings.deadline_seconds
        with self._changed:
            if wait:
                self._wait_for_room()
            elif len(self._queue) >= self._settings.waiting_limit:
                self._make_room(now)
            self._queue.add(Ticket(candidate, answer, now, deadline))
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
                self._changed.wait(min(left, _LOOK_SECONDS))
        self._raise_error()
        return True

    def __enter__(self) -> Self:
        for name, target in (("batcher-verify", self._verify_batches), ("batcher-answer", self._give_answers)):
            # Daemon: a verifier that never returns must not keep the program from ending.
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        verify, answer = self._threads
        with self._changed:
            self._stopping = True
            for ticket in self._queue.take_waiting():
                self._put(ticket, unverified(self._verifier.name, "stopped before the verifier was asked"))
            self._changed.notify_all()
        verify.join(_GRACE_SECONDS)
        self._verifier.close()
        verify.join(_JOIN_SECONDS)
        with self._changed:
            for ticket in self._queue.take_held():
                self._put(ticket, unverified(self._verifier.name, "stopped before the verifier answered"))
            self._finished = True
            self._changed.notify_all()
        answer.join(_JOIN_SECONDS)
        for thread in self._threads:
            if thread.is_alive():
                _log.error("%s did not end within %.0f s and is left behind", thread.name, _JOIN_SECONDS)
        if error is None:
            self._raise_error()

    # -- asking the verifier: thread batcher-verify ------------------------------------------------------------

    def _verify_batches(self) -> None:
        while (batch := self._next_batch()) is not None:
            verdicts = self._judge([ticket.candidate for ticket in batch])
            with self._changed:
                self._call_began = None
                for ticket, verdict in zip(batch, verdicts, strict=True):
                    if self._queue.release(ticket):
                        self._put(ticket, verdict)
                self._changed.notify_all()

    def _next_batch(self) -> list[Ticket] | None:
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                closes = self._queue.oldest_waiting + self._settings.batch_wait_ms / 1000.0
                if self._queue.waiting_count >= self._batch_limit or closes <= now:
                    self._call_began = now
                    return self._queue.hold(self._batch_limit)
                self._changed.wait(min(closes - now, 60.0))
        return None

    def _judge(self, candidates: list[Candidate]) -> list[Verdict]:
        """A verdict for each, whatever the verifier does; out of memory halves the batch."""
        name = self._verifier.name
        try:
            verdicts = self._verifier.verify(candidates)
        except MemoryError as error:
            half = len(candidates) // 2
            if half == 0:
                return [unverified(name, f"out of memory with a batch of 1: {redact(error)}")]
            _log.warning("%s: out of memory with a batch of %d, going on with %d", name, len(candidates), half)
            self._batch_limit, self._good_batches = half, 0
            return self._judge(candidates[:half]) + self._judge(candidates[half:])
        except Exception as error:  # noqa: BLE001 - any failure of a verifier is "no answer", never the end
            _log.error("%s failed on %d candidates: %s: %s", name, len(candidates), type(error).__name__, redact(error))
            return [unverified(name, f"{type(error).__name__}: {redact(error)}")] * len(candidates)
        if len(verdicts) != len(candidates):
            return [unverified(name, f"{len(verdicts)} verdicts for {len(candidates)} candidates")] * len(candidates)
        self._grow()
        return verdicts

    def _grow(self) -> None:
        """Let the batch grow again, slowly, after memory ran out."""
        self._good_batches += 1
        if self._batch_limit < self._settings.batch_size and self._good_batches % 32 == 0:
            self._batch_limit += 1

    # -- giving answers: thread batcher-answer -----------------------------------------------------------------

    def _give_answers(self) -> None:
        while (item := self._next_answer()) is not None:
            ticket, verdict = item
            try:
                ticket.answer(ticket.candidate, verdict)
            except Exception as error:  # noqa: BLE001 - reaches the owner in the end; other cameras go on
                self._error = error
                if ticket.live:
                    camera, kind = ticket.candidate.camera, type(error).__name__
                    _log.error("%s: its verdict could not be told: %s: %s", camera, kind, redact(error))
            with self._changed:
                self._undelivered -= 1
                self._changed.notify_all()

    def _next_answer(self) -> tuple[Ticket, Verdict] | None:
        with self._changed:
            while True:
                if self._outbox:
                    return self._outbox.popleft()
                if self._finished:
                    return None
                now = time.monotonic()
                if not self._expire(now):
                    stuck_at = self._stuck_at if self._stuck_at > now else float("inf")
                    self._changed.wait(min(self._queue.next_deadline - now, stuck_at - now, 60.0))

    def _expire(self, now: float) -> bool:
        """Put an unverified answer out for each candidate past its deadline; all of them if the verifier is stuck."""
        stuck = now >= self._stuck_at
        late = self._queue.expire(float("inf") if stuck else now)
        for ticket in late:
            waited = now - ticket.asked
            why = (
                f"late: the verifier is silent for {self._settings.stuck_seconds:g} s"
                if stuck
                else f"late: no verdict within {self._settings.deadline_seconds:g} s"
            )
            self.counts.late += 1
            self._late.note(f"{why}, the last after {waited:.1f} s", now)
            self._post(ticket, unverified(self._verifier.name, why))
        return bool(late)

    # -- shared, under the lock --------------------------------------------------------------------------------

    @property
    def _stuck_at(self) -> float:
        return float("inf") if self._call_began is None else self._call_began + self._settings.stuck_seconds

    def _put(self, ticket: Ticket, verdict: Verdict) -> None:
        """The last answer to `ticket`, unless it was answered `unverified` before and this says nothing more."""
        if ticket.expired and verdict.lightning is None:
            return
        self._post(ticket, verdict)

    def _post(self, ticket: Ticket, verdict: Verdict) -> None:
        self._outbox.append((ticket, verdict))
        self._undelivered += 1

    def _wait_for_room(self) -> None:
        while len(self._queue) >= self._settings.waiting_limit and not self._stop.is_set():
            if time.monotonic() >= self._stuck_at:
                self._make_room(time.monotonic())
                return
            self._changed.wait(_LOOK_SECONDS)
            self._raise_error()

    def _make_room(self, now: float) -> None:
        """Give up one waiting candidate of the camera that has the most of them waiting."""
        ticket = self._queue.drop_oldest_of_busiest()
        if ticket is None:
            return
        why = f"too many candidates wait for the verifier: {self._settings.waiting_limit}"
        self.counts.shed += 1
        self._shed.note(why, now)
        self._put(ticket, unverified(self._verifier.name, why))
        self._changed.notify_all()

    def _all_answered(self) -> bool:
        if time.monotonic() >= self._stuck_at:
            return self._undelivered == 0 and self._queue.all_expired
        return self._undelivered == 0 and len(self._queue) == 0

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
