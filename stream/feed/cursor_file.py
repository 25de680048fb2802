"""How far a subscriber has come in each feed, and the file that keeps it."""

import os
from pathlib import Path

import msgspec

from stream.errors import FeedError
from stream.feed.reassembly import Cursor

_FEEDS_REMEMBERED = 100


class CursorState(msgspec.Struct, kw_only=True):
    """The feed last seen at each endpoint, and the place reached in each feed."""

    endpoints: dict[str, str] = {}
    feeds: dict[str, Cursor] = {}

    def reach(self, endpoint: str, feed: str, cursor: Cursor) -> None:
        """Everything of `feed` up to `cursor` came, from `endpoint`."""
        self.endpoints[endpoint] = feed
        self.feeds.pop(feed, None)  # the feed used last stands last, and is forgotten last
        self.feeds[feed] = cursor
        if len(self.feeds) > _FEEDS_REMEMBERED:
            del self.feeds[next(iter(self.feeds))]


class CursorFile:
    """Keeps `CursorState` as JSON.

    Raises:
        FeedError: the file cannot be read or written, or is not one.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise FeedError(f"{path}: cannot keep the cursor: it is a folder; name a file in it")
        self._path = path
        self._new = path.with_name(path.name + ".new")

    def read(self) -> CursorState:
        """What the file says; nothing if there is none yet."""
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
        """Replace the file whole, so that a reader or a kill never sees half of it."""
        try:
            self._new.write_bytes(msgspec.json.encode(state))
            self._new.replace(self._path)
        except OSError as error:
            raise FeedError(f"{self._path}: cannot write the cursor: {error.strerror}; check the disk") from error
