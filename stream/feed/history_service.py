"""Answer what clients ask of a feed, and bound what any of them may cost."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from stream.errors import JournalError
from stream.feed.message import WireMessage, utc_text
from stream.feed.protocol import (
    PAGE_MESSAGES,
    REQUEST_BYTES,
    Heartbeat,
    Reply,
    Request,
    decode_request,
    encode,
)
from stream.feed.sequencer import Sequencer

_CLIENTS_REMEMBERED = 1000


class RateLimiter:
    """Allow `per_second` on average, twice that at once, for each key; remember 1000 keys at most."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def allow(self, key: bytes) -> bool:
        """Return whether `key` may go on now, and count it."""
        now = self._clock()
        left, at = self._left.pop(key, (2 * self._per_second, now))
        left = min(2 * self._per_second, left + (now - at) * self._per_second)
        allowed = left >= 1
        self._left[key] = (left - allowed, now)
        if len(self._left) > _CLIENTS_REMEMBERED:
            self._left.popitem(last=False)
        return allowed


class HistoryService:
    """Answer the frames of one request at a time; opens no socket itself.

    Attributes:
        answered: requests answered.
        refused: requests answered with an error.
        dropped: requests left without an answer, since they came too often.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        *,
        site: str,
        heartbeat_seconds: float,
        schema: dict[str, Any],
        requests_per_second: float,
    ) -> None:
        self._sequencer = sequencer
        self._site = site
        self._heartbeat_seconds = heartbeat_seconds
        self._schema = encode(schema)
        self._each = RateLimiter(requests_per_second)
        self._all = RateLimiter(10 * requests_per_second)
        self.answered = 0
        self.refused = 0
        self.dropped = 0

    def heartbeat(self, now: float) -> list[bytes]:
        """Return the frames of a heartbeat at `now` (seconds since 1970)."""
        position = self._sequencer.position
        heartbeat = Heartbeat(**msgspec.structs.asdict(position), **self._state(now))
        return WireMessage("hb", position.last, encode(heartbeat)).frames()

    def answer(self, frames: list[bytes], now: float) -> list[bytes] | None:
        """Return the frames to send back for `frames` as a ROUTER received them, or None to send nothing.

        The first frame is the client; an empty one after it (REQ sockets put it there) is kept in the answer.
        """
        client, *rest = frames
        envelope = [client]
        if rest and rest[0] == b"":
            envelope.append(rest.pop(0))
        if not (self._each.allow(client) and self._all.allow(b"")):
            self.dropped += 1
            return None
        if len(rest) != 1 or len(rest[0]) > REQUEST_BYTES:
            return envelope + self._refuse("", 0, "a request is one frame of JSON, up to 4096 bytes", now)
        try:
            request = decode_request(rest[0])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return envelope + self._refuse("", 0, f"not a request: {error}", now)
        try:
            reply = self._reply(request, now)
        except JournalError as error:
            return envelope + self._refuse(request.op, request.request, f"history is not available now: {error}", now)
        self.answered += 1
        return envelope + reply

    def _reply(self, request: Request, now: float) -> list[bytes]:
        if request.op == "since":
            page = self._sequencer.page(request.sequence, min(request.limit, PAGE_MESSAGES))
            frames = [frame for wire in page for frame in wire.frames()]
            return [self._head(request.op, request.request, now, count=len(page)), *frames]
        header = self._head(request.op, request.request, now, count=0)
        return [header, self._schema] if request.op == "schema" else [header]

    def _refuse(self, op: str, number: int, why: str, now: float) -> list[bytes]:
        self.refused += 1
        return [self._head(op, number, now, count=0, error=why)]

    def _head(self, op: str, number: int, now: float, *, count: int, error: str | None = None) -> bytes:
        facts = msgspec.structs.asdict(self._sequencer.position) | self._state(now)
        reply = Reply(op=op, request=number, count=count, site=self._site, **facts)
        return encode(reply if error is None else msgspec.structs.replace(reply, error=error))

    def _state(self, now: float) -> dict[str, Any]:
        return {
            "time": utc_text(now),
            "heartbeat_seconds": self._heartbeat_seconds,
            "durable": self._sequencer.durable,
        }
