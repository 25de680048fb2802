"""Cameras that send several scenes in one session: each is watched as a camera of its own."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from detector.run.cameras import CameraEntry, joined_name
from detector.run.watch import CameraWorker
from stream import StreamChoice, StreamError, choose_camera_streams

_log = logging.getLogger(__name__)


class Lenses:
    """Finds out which cameras send several scenes, and watches those as NAME-1, NAME-2 and so on.

    A camera is first watched as it is. Where it turns out to send several video streams, and its settings name none of
    them, they are compared in a session of their own, in a thread, once in a run.
    """

    def __init__(self) -> None:
        self._watched: dict[str, tuple[int, ...]] = {}  # numbers of its streams, by address
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._news = False

    def expanded(self, cameras: Sequence[CameraEntry]) -> tuple[CameraEntry, ...]:
        """Return `cameras`, those that are known to send several scenes replaced by one for each."""
        names = {entry.name for entry in cameras}
        return tuple(part for entry in cameras for part in self._parts(entry, names))

    def step(self, cameras: Iterable[CameraEntry], workers: Iterable[CameraWorker]) -> bool:
        """Compare the streams of cameras that turned out to send several; return whether more is known than before."""
        several = {worker.name for worker in workers if worker.streams > 1}
        for entry in cameras:
            if entry.name in several and not entry.capture.stream and entry.address not in self._asked:
                self._asked.add(entry.address)
                threading.Thread(target=self._compare, args=(entry,), name=f"lenses-{entry.name}", daemon=True).start()
        with self._lock:
            news, self._news = self._news, False
        return news

    def _compare(self, entry: CameraEntry) -> None:
        try:
            choice = choose_camera_streams(entry.address, entry.capture)
        except StreamError as error:
            _log.warning("%s: sends several video streams, of which only the first is watched: %s", entry.name, error)
            choice = StreamChoice((1,))
        for line in choice.left_out:
            _log.info("%s", line)
        with self._lock:
            self._watched[entry.address] = choice.watched
            self._news = choice.watched != (1,)

    def _parts(self, entry: CameraEntry, names: set[str]) -> tuple[CameraEntry, ...]:
        with self._lock:
            watched = () if entry.capture.stream else self._watched.get(entry.address, ())
        if len(watched) <= 1:
            return tuple(_of_stream(entry, entry.name, number) for number in watched if number > 1) or (entry,)
        parts = {number: joined_name(entry.name, number) for number in watched}
        taken = sorted(names & set(parts.values()))
        if taken:
            _log.error(
                "%s: sends %d scenes, but '%s' is another camera's name: only its first video stream is watched; give "
                "one of them another name",
                entry.name,
                len(parts),
                taken[0],
            )
            return (entry,)
        return tuple(_of_stream(entry, name, number) for number, name in parts.items())


def _of_stream(entry: CameraEntry, name: str, number: int) -> CameraEntry:
    capture = msgspec.structs.replace(entry.capture, stream=number)
    return replace(entry, name=name, settings=msgspec.structs.replace(entry.settings, capture=capture))
