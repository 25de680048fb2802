"""Who is served next, and how often: turns among peers, and allowances."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable


class Allowance:
    """Tokens that come back at `per_second`, `burst` at most.

    Args:
        per_second: how many come back each second.
        burst: how many can be saved up.
        clock: monotonic seconds.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self) -> bool:
        """Take a token; return whether there was one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Turns:
    """Clients that wait to be served: peers take turns, and the clients of a peer take turns within it.

    A peer that opens a hundred connections is served no more often than one with a single connection.
    """

    def __init__(self) -> None:
        self._peers: OrderedDict[str, deque[int]] = OrderedDict()
        self._waiting: set[int] = set()

    def add(self, peer: str, client: int) -> None:
        """Let `client` of `peer` wait behind the others; once is enough."""
        if client not in self._waiting:
            self._waiting.add(client)
            self._peers.setdefault(peer, deque()).append(client)

    def next(self) -> int | None:
        """Return the client whose turn it is, or None if nobody waits; it has to be added again."""
        if not self._peers:
            return None
        peer, clients = self._peers.popitem(last=False)
        client = clients.popleft()
        self._waiting.discard(client)
        if clients:
            self._peers[peer] = clients
        return client

    def __len__(self) -> int:
        return len(self._waiting)
