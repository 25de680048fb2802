"""The quota of media in a run's folder: the oldest are deleted beyond a size or an age."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from detector.events import Media, State
from detector.output.jsonl import run_lines
from detector.output.media_folder import MediaFolder, inside
from detector.settings import EvidenceSettings

_log = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0
_RANKS: dict[State, int] = {"rejected": 0, "detected": 0, "unverified": 1, "confirmed": 2}
"""Order of deletion by state: the lowest first."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Media that were deleted together.

    Attributes:
        flash_ids: flashes whose media were deleted.
        megabytes: their size in 10^6 bytes.
        why: the reason in words.
    """

    flash_ids: tuple[str, ...]
    megabytes: float
    why: str


@dataclass(slots=True)
class _Entry:
    """The media of one flash.

    Attributes:
        written: time.time() at which they were last written.
        state: state of the flash.
        files: paths in the run's folder.
    """

    written: float
    state: State
    files: frozenset[str]


class MediaQuota:
    """Count the media in a run's folder, and delete the oldest beyond a size or an age.

    Media of unverified flashes are deleted before those of confirmed ones, those of the newest flash never. A file
    that several flashes share is deleted with the last of them. Media of an earlier run count, too.
    """

    def __init__(self, folder: MediaFolder, settings: EvidenceSettings) -> None:
        self._folder = folder
        self._limit = settings.keep_megabytes * 1e6
        self._age = settings.keep_days * _DAY_SECONDS
        self._entries: dict[str, _Entry] = {}
        self._sizes: dict[str, int] = {}
        self._users: dict[str, set[str]] = {}
        self._total = 0
        self._read_earlier = False
        self._lock = threading.Lock()

    def add(self, flash_id: str, state: State, media: Media, now: float | None = None) -> Removed | None:
        """Count the media that a flash has by now, and delete what exceeds the limits.

        Args:
            flash_id: id of the flash.
            state: state of the flash.
            media: its media.
            now: seconds since 1970; the current time if omitted.

        Returns:
            what was deleted, or None.
        """
        if not self._limit and not self._age:
            return None
        now = time.time() if now is None else now
        with self._lock:
            if not self._read_earlier:
                self._read_earlier = True
                self._scan()
            self._set(flash_id, _Entry(now, state, frozenset(_files(media))))
            gone, size, why = [], 0, ""
            for victim, reason in self._victims(now):
                size += self._remove(victim)
                gone.append(victim)
                why = reason
        if not gone:
            return None
        _log.warning("%s: removed the media of %d of the oldest flashes: %s", self._folder.path, len(gone), why)
        return Removed(tuple(gone), round(size / 1e6, 3), why)

    def _scan(self) -> None:
        for flash in run_lines(self._folder.path):
            files = frozenset(name for name in _files(flash.media) if self._size_of(name))
            if files:
                written = max(self._written(name) for name in files)
                self._set(flash.id, _Entry(written, flash.state, files))

    def _set(self, flash_id: str, entry: _Entry) -> None:
        before = self._entries.pop(flash_id, None)
        self._entries[flash_id] = entry
        for name in (before.files if before is not None else frozenset()) - entry.files:
            self._forget(name, flash_id)
        for name in entry.files:
            self._users.setdefault(name, set()).add(flash_id)
            size = self._size_of(name)
            self._total += size - self._sizes.get(name, 0)
            self._sizes[name] = size

    def _victims(self, now: float) -> Iterator[tuple[str, str]]:
        """Yield the flashes whose media are to be deleted next, and why, until enough is deleted."""
        while len(self._entries) > 1:
            newest = next(reversed(self._entries))
            old = [key for key, one in self._entries.items() if key != newest and one.files]
            if not old:
                return
            aged = min(old, key=lambda key: self._entries[key].written)
            if self._age and self._entries[aged].written < now - self._age:
                yield aged, f"older than evidence.keep_days = {self._age / _DAY_SECONDS:g}"
            elif self._limit and self._total > self._limit:
                first = min(old, key=lambda key: (_RANKS[self._entries[key].state], self._entries[key].written))
                yield first, f"more than evidence.keep_megabytes = {self._limit / 1e6:g}"
            else:
                return

    def _remove(self, flash_id: str) -> int:
        """Remove the media of a flash that no other flash shares, and return their size in bytes."""
        size = 0
        for name in self._entries.pop(flash_id).files:
            if self._forget(name, flash_id):
                size += self._folder.remove(name)
        return size

    def _forget(self, name: str, flash_id: str) -> bool:
        """Remove a file from a flash, and return whether no other flash has it."""
        users = self._users.get(name, set())
        users.discard(flash_id)
        if users:
            return False
        self._users.pop(name, None)
        self._total -= self._sizes.pop(name, 0)
        return True

    def _size_of(self, name: str) -> int:
        path = inside(self._folder.path, name)
        try:
            return 0 if path is None else path.stat().st_size
        except OSError:
            return 0

    def _written(self, name: str) -> float:
        try:
            return (self._folder.path / name).stat().st_mtime
        except OSError:
            return 0.0


def _files(media: Media) -> Iterator[str]:
    for name in (media.still, media.brightest, media.thumbnail, media.clip, media.strip, media.model):
        if name is not None:
            yield name
