"""Dynamic batching: requests of many sources, in fair batches with limits of size and wait.

Standard library only: MiniCPM-V 4.5's server uses it in an environment with few packages.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

_LONGEST_WAIT_SECONDS = 60.0  # threading accepts no infinite timeout


@dataclass(slots=True, eq=False, kw_only=True)
class PendingRequest:
    """One request that waits for its batch or is being answered.

    Attributes:
        source: the source of the request; sources take turns.
        asked: when it was made, in monotonic seconds.
        deadline: when it is answered without a result, in monotonic seconds; infinity if the source waits.
        expired: whether it was answered without a result.
    """

    source: str
    asked: float
    deadline: float
    expired: bool = False

    @property
    def droppable(self) -> bool:
        """Whether nothing waits for it, so that it may be dropped."""
        return self.deadline != float("inf")

    @property
    def optional(self) -> bool:
        """Whether it only adds to a previous answer, so that it comes after all others and is dropped first."""
        return False


P = TypeVar("P", bound=PendingRequest)


class FairQueue(Generic[P]):
    """Waiting requests, and requests held by the workers that answer them.

    Oldest first within a source, sources in turn, optional ones after the others. It has no lock: its owner locks.
    """

    def __init__(self) -> None:
        # The source at the front is served next and then goes to the back, so that a busy source
        # takes one place of a batch in each turn and never all of them.
        self._waiting: OrderedDict[str, deque[P]] = OrderedDict()
        self._optional: OrderedDict[str, deque[P]] = OrderedDict()
        self._held: list[P] = []

    def __len__(self) -> int:
        return self.waiting_count + len(self._held)

    def __iter__(self) -> Iterator[P]:
        return chain(self._held, *self._waiting.values(), *self._optional.values())

    @property
    def waiting_count(self) -> int:
        """Number of requests that are in no batch yet."""
        return sum(map(len, chain(self._waiting.values(), self._optional.values())))

    @property
    def optional_count(self) -> int:
        """Number of optional ones among them."""
        return sum(map(len, self._optional.values()))

    @property
    def oldest_waiting(self) -> float:
        """When the oldest of them was made, in monotonic seconds, or infinity."""
        lines = chain(self._waiting.values(), self._optional.values())
        return min((requests[0].asked for requests in lines), default=float("inf"))

    @property
    def next_deadline(self) -> float:
        """The earliest deadline of those not yet expired, in monotonic seconds, or infinity."""
        return min((request.deadline for request in self if not request.expired), default=float("inf"))

    @property
    def all_expired(self) -> bool:
        """Whether all have been answered without a result."""
        return all(request.expired for request in self)

    def add(self, request: P) -> None:
        """Append a request after the others of its source."""
        self._line_of(request).setdefault(request.source, deque()).append(request)

    def hold(self, limit: int) -> list[P]:
        """Hold and return another batch of at most `limit`: one of each source in turn, optional ones last."""
        batch: list[P] = []
        for waiting in (self._waiting, self._optional):
            while waiting and len(batch) < limit:
                source, requests = waiting.popitem(last=False)
                batch.append(requests.popleft())
                if requests:
                    waiting[source] = requests
        self._held += batch
        return batch

    def release(self, request: P) -> bool:
        """Release a held request, and return False if it was removed before."""
        if request in self._held:
            self._held.remove(request)
            return True
        return False

    def withdraw(self, request: P) -> bool:
        """Remove a waiting request, and return False if it is in a batch already, or was removed before."""
        waiting = self._line_of(request)
        requests = waiting.get(request.source)
        if requests is None or request not in requests:
            return False
        requests.remove(request)
        if not requests:
            del waiting[request.source]
        return True

    def expire(self, now: float, given_up: Container[P] = ()) -> list[P]:
        """Mark and return those past their deadline at `now` or in `given_up`, each once, the longest waiting first."""
        late = [one for one in self if not one.expired and (one.deadline <= now or one in given_up)]
        late.sort(key=lambda one: one.asked)
        for request in late:
            request.expired = True
        return late

    def drop_oldest_of_busiest(self) -> P | None:
        """Remove the oldest droppable request of the source with most of them waiting; optional requests first.

        Returns:
            the request, or None if there is none.
        """
        for waiting in (self._optional, self._waiting):
            droppable = [[one for one in requests if one.droppable] for requests in waiting.values()]
            busiest = max(droppable, key=len, default=[])
            if busiest:
                self.withdraw(busiest[0])
                return busiest[0]
        return None

    def take_waiting(self) -> list[P]:
        """Remove and return all waiting requests."""
        requests = list(chain(*self._waiting.values(), *self._optional.values()))
        self._waiting.clear()
        self._optional.clear()
        return requests

    def take_held(self) -> list[P]:
        """Remove and return all held requests."""
        requests, self._held = self._held, []
        return requests

    def _line_of(self, request: P) -> OrderedDict[str, deque[P]]:
        return self._optional if request.optional else self._waiting


class BatchQueue(FairQueue[P]):
    """A FairQueue with its lock, and the wait for the next batch.

    Several batches may be held at once.

    Attributes:
        changed: guards the queue and its owner's related state; notified when either changes.
    """

    def __init__(self, batch_wait_seconds: float) -> None:
        super().__init__()
        self.changed = threading.Condition()
        self._batch_wait = batch_wait_seconds
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no further batch is returned."""
        return self._closed

    def close(self) -> None:
        """Return no further batch; call it with `changed` held."""
        self._closed = True
        self.changed.notify_all()

    def next_batch(
        self, size: int, largest: int | None = None, idle: Callable[[], bool] = lambda: True
    ) -> list[P] | None:
        """Wait until `size` requests wait or the oldest has waited long enough, and hold them.

        Call it with `changed` held, which is released while it waits; several threads may call it.

        Args:
            size: the size of a full batch.
            largest: the most requests to take if more wait; `size` if omitted.
            idle: returns whether a worker is free; while none is, only a full batch is returned, since a small one
                would only wait in another place. It is called with `changed` held.

        Returns:
            the requests, or None once closed.
        """
        while not self._closed:
            now = time.monotonic()
            ready = self.oldest_waiting + self._batch_wait if idle() else float("inf")
            if self.waiting_count >= size or ready <= now:
                return self.hold(max(size, largest or size))
            self.changed.wait(min(ready - now, _LONGEST_WAIT_SECONDS))
        return None
