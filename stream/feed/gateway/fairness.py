"""Fairness among clients: turns among peers, and rate limits."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable


class Allowance:
    """A token bucket: tokens return at `per_second`, up to `burst`.

    Args:
        per_second: tokens returned each second.
        burst: the most tokens that can be saved.
        clock: returns monotonic seconds.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self) -> bool:
        """Take a token if there is one, and return whether there was."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Turns:
    """Clients that wait to be served: peers take turns, and so do the clients of one peer.

    A peer that opens a hundred connections is served no more often than one with a single connection.
    """

    def __init__(self) -> None:
        self._peers: OrderedDict[str, deque[int]] = OrderedDict()
        self._waiting: set[int] = set()

    def add(self, peer: str, client: int) -> None:
        """Queue `client` of `peer` behind the others; a client that waits already keeps its place."""
        if client not in self._waiting:
            self._waiting.add(client)
            self._peers.setdefault(peer, deque()).append(client)

    def next(self) -> int | None:
        """Remove and return the client whose turn it is, or None if no client waits."""
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
