"""How far the broker has acknowledged each feed, kept in a file of the form that `subscribe --cursor` keeps."""

import logging
from pathlib import Path

import msgspec

from detector.errors import SettingsError
from stream import Cursor, Received, write_atomically

_log = logging.getLogger(__name__)

_FEEDS_REMEMBERED = 100


class _Kept(msgspec.Struct, kw_only=True):
    endpoints: dict[str, str] = {}
    feeds: dict[str, Cursor] = {}


class Place:
    """The place behind the last message that needs not be published again.

    Args:
        path: the file; None keeps the place in memory.

    Attributes:
        is_new: whether there was no file yet.

    Raises:
        SettingsError: the file cannot be read, or is none of these.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept = _Kept()
        self._trouble = False
        self.is_new = path is None or not path.exists()
        if path is not None and not self.is_new:
            try:
                self._kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
            except OSError as error:
                raise SettingsError(f"{path}: cannot read the cursor: {error.strerror}") from error
            except msgspec.DecodeError as error:
                raise SettingsError(f"{path}: not a cursor file ({error}); delete it to start anew") from error
        elif path is not None and not path.parent.is_dir():
            raise SettingsError(f"{path}: no cursor can be kept in {path.parent}, which is not there")

    @property
    def cursors(self) -> dict[str, Cursor]:
        """The place in each feed."""
        return dict(self._kept.feeds)

    def begin(self, endpoint: str, cursors: dict[str, Cursor]) -> None:
        """Start behind what was there before, so that a restart before the first message misses nothing."""
        for feed, cursor in cursors.items():
            self._reach(endpoint, feed, cursor)
        self._write()

    def reach(self, received: Received) -> None:
        """Note that everything up to this message was acknowledged."""
        self._reach(received.endpoint, received.message.feed, received.cursor)
        self._write()

    def _reach(self, endpoint: str, feed: str, cursor: Cursor) -> None:
        feeds = self._kept.feeds
        self._kept.endpoints[endpoint] = feed
        feeds.pop(feed, None)
        feeds[feed] = cursor
        if len(feeds) > _FEEDS_REMEMBERED:
            del feeds[next(iter(feeds))]

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            write_atomically(self._path, msgspec.json.encode(self._kept), mode=0o640, sync=False)
        except OSError as error:
            if not self._trouble:
                _log.error("%s: the cursor cannot be written: %s; going on without it", self._path, error.strerror)
            self._trouble = True
            return
        self._trouble = False
