"""Server-sent events for browsers, with one queue for each listener."""

import asyncio
from collections.abc import AsyncIterator

MOST_LISTENERS = 200
_WAITING = 64  # events; a slower browser is told to request everything again
_KEEP_ALIVE_SECONDS = 15.0


class Broadcast:
    """Pass each event to every listener; a slow listener misses events and delays no other."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self.closed = False

    @property
    def listeners(self) -> int:
        """Number of current listeners."""
        return len(self._queues)

    def send(self, kind: str, body: bytes) -> None:
        """Send an event to all; `body` is one line of JSON."""
        event = b"event: %s\ndata: %s\n\n" % (kind.encode(), body)
        for queue in self._queues:
            self._put(queue, event)

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        for queue in self._queues:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)

    async def stream(self, first: bytes) -> AsyncIterator[bytes]:
        """Yield the bytes for one listener, beginning with `first`, until `close` or until it leaves."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._queues.add(queue)
        try:
            yield first
            while not self.closed:
                try:
                    event = await asyncio.wait_for(queue.get(), _KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield b": here\n\n"
                    continue
                if event is None:
                    return
                yield event
        finally:
            self._queues.discard(queue)

    @staticmethod
    def _put(queue: "asyncio.Queue[bytes | None]", event: bytes) -> None:
        if queue.full():
            while not queue.empty():
                queue.get_nowait()
            event = b"event: missed\ndata: {}\n\n"
        queue.put_nowait(event)
