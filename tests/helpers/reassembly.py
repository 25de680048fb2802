"""A publisher without sockets and a listener to it: what is lost, doubled or late on the way is up to a test."""

from pathlib import Path

import msgspec
import pytest

from stream.feed.history_service import HistoryService
from stream.feed.journal import Journal
from stream.feed.protocol import Heartbeat, WireMessage, encode
from stream.feed.reassembly import Cursor, Reassembler, Received, StartPosition, SubscriberNotice
from stream.feed.sequencer import OutgoingMessage, Sequencer

OUTGOING = OutgoingMessage("ev.flash.cam", "test.v1", "cam", "urn:test", {"camera": "cam"})
NO_JOURNAL = "disk_trouble"  # what these publishers, which keep their messages in memory, say first


class Publisher:
    """A real journal, sequencer and history, without sockets; `restart` begins a new run."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.journal = Journal(path)
        self.ids: list[str] = []
        self.sent: list[list[bytes]] = []
        self.copy()
        self.restart()

    def restart(self) -> None:
        self.sequencer = Sequencer(self.journal, "test")
        self.history = HistoryService(self.sequencer, site="test", heartbeat_seconds=1.0, schema={})

    def publish(self, count: int) -> list[WireMessage]:
        packed = self.sequencer.add([OUTGOING] * count) if count else []
        self.ids += [msgspec.json.decode(one.body)["id"] for one in packed]
        self.sent += [one.frames() for one in packed]
        return packed

    def copy(self) -> None:
        self.copied = bytes(self.journal._open.serialize())

    def put_copy_back(self) -> None:
        """The journal as it was at `copy`, and a new start on it."""
        self.journal._open.deserialize(self.copied)
        self.journal.last = self.journal._last_kept()
        self.journal.first = self.journal._first_kept()
        self.restart()

    def heartbeat(self) -> list[bytes]:
        self.sent.append(self.history.heartbeat(0.0))
        return self.sent[-1]

    def answer(self, reassembler: Reassembler) -> list[bytes] | None:
        """What the history says to what `reassembler` asks now; None if it asks nothing."""
        request = reassembler.next_request()
        return self.history.answer([encode(request)], 0.0) if request else None


class Listener:
    """A Reassembler and everything that came out of it."""

    def __init__(self, cursors: dict[str, Cursor] | None = None, since: int | None = 0, waited: float = 0.0) -> None:
        self.notices: list[SubscriberNotice] = []
        self.got: list[Received] = []
        self.heard: list[tuple[str, Heartbeat]] = []
        self.reassembler = self.another(cursors if cursors is not None else {}, since, waited)

    def another(self, cursors: dict[str, Cursor], since: int | None, waited: float) -> Reassembler:
        start = StartPosition(since, None, lambda: waited)
        return Reassembler("tcp://x:1", cursors, start, self.notices.append, lambda *what: self.heard.append(what))

    def hear(self, frames: list[bytes]) -> None:
        self.got += self.reassembler.on_event(frames)

    def hear_answer(self, frames: list[bytes]) -> None:
        self.got += self.reassembler.on_reply(frames)

    def catch_up(self, publisher: Publisher) -> None:
        self.hear(publisher.heartbeat())
        for _ in range(1000):
            answer = publisher.answer(self.reassembler)
            if answer is None:
                return
            self.hear_answer(answer)
        pytest.fail("still asking after 1000 answers")

    @property
    def ids(self) -> list[str]:
        return [one.message.id for one in self.got]

    @property
    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.notices]
