"""Questions that arrive together are answered together: a bounded queue in front of one thread that owns the model."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from types import TracebackType
from typing import Self

from torch import OutOfMemoryError, Tensor

from detector.verify.vlm.server45.model import Clip

_LOOK_SECONDS = 0.2
_JOIN_SECONDS = 30.0


class Unanswered(Exception):
    """No answer will come; the message says why, `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Desk:
    """Takes questions from many threads; one thread of its own scores them in batches.

        with Desk(model.score, batch_size=4, batch_wait_seconds=0.02, room=32) as desk:
            logprobs = desk.ask(clip, limit_seconds=60)

    A batch closes when it is full or when its first question has waited long enough. A question that nobody waits for
    any more is not scored. If the thread ends by itself, `failure` says why.
    """

    def __init__(
        self, score: Callable[[Sequence[Clip]], list[Tensor]], *, batch_size: int, batch_wait_seconds: float, room: int
    ) -> None:
        self._score = score
        self._batch_size = batch_size
        self._wait_seconds = batch_wait_seconds
        self._waiting: queue.Queue[tuple[Clip, Future[Tensor]]] = queue.Queue(maxsize=room)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="minicpm45-scorer", daemon=True)
        self.failure: BaseException | None = None
        self.answered = 0
        self.batches = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # A pass that hangs in a driver cannot be ended from here; the thread is a daemon, so the process still ends.
        self._thread.join(_JOIN_SECONDS)
        self._turn_away()

    def closing(self) -> bool:
        """Whether no further questions are taken."""
        return self._stop.is_set() or self.failure is not None

    @property
    def waiting(self) -> int:
        """How many questions wait, those being scored not counted."""
        return self._waiting.qsize()

    def ask(self, clip: Clip, limit_seconds: float) -> Tensor:
        """Log-probabilities of the next token for `clip`.

        Raises:
            Unanswered: the queue is full or closing (503), the limit has passed (504), the model failed (500, 507).
        """
        future: Future[Tensor] = Future()
        if self.closing():
            raise Unanswered("the server is closing", 503)
        try:
            self._waiting.put_nowait((clip, future))
        except queue.Full:
            raise Unanswered(f"{self._waiting.maxsize} questions are waiting already; ask again later", 503) from None
        if self.closing():  # it may have closed, and turned away who waited, in between
            self._turn_away()
        try:
            return future.result(limit_seconds)
        except TooLate:
            future.cancel()
            raise Unanswered(
                f"no answer within {limit_seconds:.0f} s; {self.waiting} questions are waiting", 504
            ) from None

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                batch = self._batch()
                if batch:
                    self._answer(batch)
        except BaseException as error:  # noqa: BLE001 - the owner raises it again
            self.failure = error
            self._turn_away()

    def _batch(self) -> list[tuple[Clip, Future[Tensor]]]:
        try:
            batch = [self._waiting.get(timeout=_LOOK_SECONDS)]
        except queue.Empty:
            return []
        closes = time.monotonic() + self._wait_seconds
        while len(batch) < self._batch_size:
            try:
                batch.append(self._waiting.get(timeout=max(closes - time.monotonic(), 0.0)))
            except queue.Empty:
                break
        return [(clip, future) for clip, future in batch if future.set_running_or_notify_cancel()]

    def _answer(self, batch: Sequence[tuple[Clip, Future[Tensor]]]) -> None:
        try:
            scores = self._score([clip for clip, _ in batch])
        except Exception as error:  # noqa: BLE001 - the model's own code runs there; each asker is told
            if len(batch) > 1 and not isinstance(error, OutOfMemoryError):
                # One picture that the model's code cannot take must not cost the others their answer.
                for one in batch:
                    self._answer([one])
                return
            for _, future in batch:
                future.set_exception(_unanswered(error))
            return
        except BaseException:
            for _, future in batch:
                future.set_exception(Unanswered("the server is closing", 503))
            raise
        self.batches += 1
        self.answered += len(batch)
        for (_, future), logprobs in zip(batch, scores, strict=True):
            future.set_result(logprobs)

    def _turn_away(self) -> None:
        while True:
            try:
                _, future = self._waiting.get_nowait()
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                future.set_exception(Unanswered("the server is closing", 503))


def _unanswered(error: Exception) -> Unanswered:
    if isinstance(error, OutOfMemoryError):
        return Unanswered(
            "the pictures of this one question do not fit into the device's memory; send smaller ones", 507
        )
    words = str(error).strip().splitlines()
    return Unanswered(f"the model failed: {type(error).__name__}: {words[0][:300] if words else ''}", 500)
