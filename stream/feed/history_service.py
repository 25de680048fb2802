"""Answer clients' requests to a feed. The gateway limits how often each may ask."""

from collections.abc import Mapping
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
from stream.feed.status_source import StatusSource


class HistoryService:
    """Answer the frames of one request at a time; opens no socket itself.

    Attributes:
        answered: requests answered.
        refused: requests answered with an error.
        status: the program's own part of the heartbeats.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        *,
        site: str,
        heartbeat_seconds: float,
        schema: dict[str, Any],
        data_schemas: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self._sequencer = sequencer
        self._site = site
        self._heartbeat_seconds = heartbeat_seconds
        self._schema = encode(schema)
        self._data_schemas = {kind: encode(one) for kind, one in (data_schemas or {}).items()}
        self.answered = 0
        self.refused = 0
        self.status = StatusSource(None)

    def heartbeat(self, now: float) -> list[bytes]:
        """Return the frames of a heartbeat at `now` (seconds since 1970)."""
        position = self._sequencer.position
        heartbeat = Heartbeat(**msgspec.structs.asdict(position), **self._state(now), status=self.status.due())
        return WireMessage("hb", position.last, encode(heartbeat)).frames()

    def answer(self, frames: list[bytes], now: float) -> list[bytes]:
        """Return the frames that answer the request in `frames`; an empty first one (of a REQ socket) is kept."""
        rest = frames[1:] if frames[0] == b"" else frames
        envelope = frames[: len(frames) - len(rest)]
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
        if request.op != "schema":
            return [header]
        if not request.type:
            return [header, self._schema]
        schema = self._data_schemas.get(request.type)
        if schema is None:
            known = ", ".join(sorted(self._data_schemas)) or "none"
            return self._refuse("schema", request.request, f"no schema of this type is known; known are: {known}", now)
        return [header, schema]

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
