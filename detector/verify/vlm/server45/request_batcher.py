"""Batch questions that arrive together: a bounded queue in front of one thread that owns the model."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field

from torch import OutOfMemoryError, Tensor

from detector.verify.batch_queue import BatchQueue, PendingRequest
from detector.verify.vlm.server45.model import Clip

_JOIN_SECONDS = 30.0


class Unanswered(Exception):
    """No answer will come; the message says why, `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True, eq=False, kw_only=True)
class _PendingClip(PendingRequest):
    clip: Clip
    result: Future[Tensor] = field(default_factory=Future)


class RequestBatcher:
    """Take questions from many threads, and score them in batches in one thread, until closed.

        batcher = RequestBatcher(model.score, batch_size=4, batch_wait_seconds=0.02, waiting_limit=32)
        with closing(batcher):
            logprobs = batcher.ask(clip, limit_seconds=60)

    A batch starts when it is full or when its first question has waited long enough; clients take turns. A question
    whose client has given up is not scored.

    Attributes:
        failure: the error that ended the thread, if any.
        answered: questions scored so far.
        batches: forward passes that scored them.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Clip]], list[Tensor]],
        *,
        batch_size: int,
        batch_wait_seconds: float,
        waiting_limit: int,
    ) -> None:
        self.failure: BaseException | None = None
        self.answered = 0
        self.batches = 0
        self._score = score
        self._batch_size = batch_size
        self._waiting_limit = waiting_limit
        self._queue: BatchQueue[_PendingClip] = BatchQueue(batch_wait_seconds)
        self._thread = threading.Thread(target=self._work, name="minicpm45-scorer", daemon=True)
        self._thread.start()

    @property
    def closing(self) -> bool:
        """Whether no further questions are accepted."""
        return self._queue.closed

    @property
    def waiting(self) -> int:
        """Number of waiting questions, without those being scored."""
        with self._queue.changed:
            return self._queue.waiting_count

    def close(self) -> None:
        """Refuse further questions, finish the current batch, and refuse the waiting questions."""
        with self._queue.changed:
            self._queue.close()
        # A pass that hangs in a driver cannot be ended from here; the thread is a daemon, so the process still ends.
        self._thread.join(_JOIN_SECONDS)
        with self._queue.changed:
            _turn_away(self._queue.take_waiting())

    def ask(self, clip: Clip, limit_seconds: float, source: str = "") -> Tensor:
        """Return the log-probabilities of the next token for `clip`.

        Args:
            clip: the question.
            limit_seconds: time after which the client gives up.
            source: the client; clients take turns.

        Raises:
            Unanswered: the queue is full or closing (503), the limit has passed (504), the model failed (500, 507).
        """
        now = time.monotonic()
        pending = _PendingClip(source=source, asked=now, deadline=now + limit_seconds, clip=clip)
        with self._queue.changed:
            if self._queue.closed:
                raise Unanswered("the server is closing", 503)
            if self._queue.waiting_count >= self._waiting_limit:
                raise Unanswered(f"{self._waiting_limit} questions are waiting already; ask again later", 503)
            self._queue.add(pending)
            self._queue.changed.notify_all()
        try:
            return pending.result.result(limit_seconds)
        except TooLate:
            with self._queue.changed:
                self._queue.withdraw(pending)
                waiting = self._queue.waiting_count
            raise Unanswered(f"no answer within {limit_seconds:.0f} s; {waiting} questions are waiting", 504) from None

    def _work(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._answer(batch)
                with self._queue.changed:
                    self._queue.take_held()
        except BaseException as error:  # noqa: BLE001 - the owner raises it again
            self.failure = error
            with self._queue.changed:
                self._queue.close()
                _turn_away([*self._queue.take_held(), *self._queue.take_waiting()])

    def _next_batch(self) -> list[_PendingClip] | None:
        with self._queue.changed:
            return self._queue.next_batch(self._batch_size)

    def _answer(self, batch: Sequence[_PendingClip]) -> None:
        try:
            scores = self._score([pending.clip for pending in batch])
        except Exception as error:  # noqa: BLE001 - the model's own code runs there; each asker is told
            if len(batch) > 1 and not isinstance(error, OutOfMemoryError):
                # One image that the model's code cannot process must not affect the others.
                for pending in batch:
                    self._answer([pending])
                return
            for pending in batch:
                pending.result.set_exception(_unanswered(error))
            return
        self.batches += 1
        self.answered += len(batch)
        for pending, logprobs in zip(batch, scores, strict=True):
            pending.result.set_result(logprobs)


def _turn_away(requests: Sequence[_PendingClip]) -> None:
    for pending in requests:
        if not pending.result.done():
            pending.result.set_exception(Unanswered("the server is closing", 503))


def _unanswered(error: Exception) -> Unanswered:
    if isinstance(error, OutOfMemoryError):
        return Unanswered("the images of this one question do not fit into the device's memory; send smaller ones", 507)
    words = str(error).strip().splitlines()
    return Unanswered(f"the model failed: {type(error).__name__}: {words[0][:300] if words else ''}", 500)
