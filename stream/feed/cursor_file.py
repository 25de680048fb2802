"""A subscriber's cursors, and the file that keeps them."""

import os
import time
from pathlib import Path

import msgspec

from stream.errors import FeedError
from stream.feed.atomic_file import write_atomically
from stream.feed.reassembly import Cursor

_FEEDS_REMEMBERED = 100
_SYNC_SECONDS = 1.0  # a sync for every message would make catching up a hundred times slower


class CursorState(msgspec.Struct, kw_only=True):
    """The feed last seen at each endpoint, and the cursor in each feed.

    Attributes:
        endpoints: feed id by endpoint.
        feeds: cursor by feed id; the feed used last comes last.
    """

    endpoints: dict[str, str] = {}
    feeds: dict[str, Cursor] = {}

    def reach(self, endpoint: str, feed: str, cursor: Cursor) -> None:
        """Note that all of `feed` up to `cursor` came from `endpoint`; the feed unused longest may be forgotten."""
        self.endpoints[endpoint] = feed
        self.feeds.pop(feed, None)
        self.feeds[feed] = cursor
        if len(self.feeds) > _FEEDS_REMEMBERED:
            del self.feeds[next(iter(self.feeds))]


class CursorFile:
    """Keep a `CursorState` as JSON.

    Raises:
        FeedError: the file cannot be read or written, or is not a cursor file.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise FeedError(f"{path}: cannot keep the cursor: it is a folder; name a file in it")
        self._path = path
        self._synced = float("-inf")

    def read(self) -> CursorState:
        """Return the state in the file, or an empty state if there is no file yet."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=CursorState)
        except FileNotFoundError:
            folder = self._path.parent
            if not os.access(folder, os.W_OK | os.X_OK):
                raise FeedError(
                    f"{self._path}: no cursor can be kept in {folder}; is it there, and writable?"
                ) from None
            return CursorState()
        except OSError as error:
            raise FeedError(f"{self._path}: cannot read the cursor: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise FeedError(f"{self._path}: not a cursor file ({error}); delete it to start anew") from error

    def write(self, state: CursorState) -> None:
        """Replace the file atomically. A kill loses nothing; a power cut may lose the writes of the last second."""
        sync = time.monotonic() - self._synced >= _SYNC_SECONDS
        try:
            write_atomically(self._path, msgspec.json.encode(state), mode=0o640, sync=sync)
        except OSError as error:
            raise FeedError(f"{self._path}: cannot write the cursor: {error.strerror}; check the disk") from error
        if sync:
            self._synced = time.monotonic()
