"""HLS playlists (.m3u8): their segments as one stream of bytes, so that FFmpeg itself never reads a playlist."""

import http.client
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

from stream.capture.addresses import is_url, redact
from stream.capture.options import CaptureOptions
from stream.capture.web import Neighbourhood, WebError, fetch
from stream.errors import OpenError

log = logging.getLogger(__name__)

_LIMIT_BYTES = 4 << 20  # largest playlist
_LIVE_SEGMENTS = 3  # start this far from the end of a live playlist (RFC 8216, 6.3.3)
_PATIENCE_TARGETS = 5.0  # a live playlist unchanged for this many segment durations has ended
_MOST_MISSING = 10  # unreadable segments in a row
_POLL_SECONDS = 0.1
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a stream.

    Attributes:
        url: its absolute URL.
        span: (first byte, number of bytes) in the resource, or None for all of it.
        seconds: stated length; 0 for an initialisation section.
        utc: when its first frame was taken, if stated.
    """

    url: str
    span: tuple[int, int] | None
    seconds: float
    utc: float | None = None


@dataclass(frozen=True, slots=True)
class Playlist:
    """A media playlist, or a master playlist.

    Attributes:
        variants: (bits per second, URL) of other playlists with the same content.
        first: number of the first segment.
        segments: the segments, each after its initialisation section if that is new.
        target_seconds: length of the longest segment.
        ended: whether nothing will be added.
        encrypted: how its segments are encrypted, if they are.
    """

    variants: tuple[tuple[int, str], ...]
    first: int
    segments: tuple[tuple[Segment, Segment | None], ...]
    target_seconds: float
    ended: bool
    encrypted: str | None


def parse_playlist(text: str, base: str) -> Playlist:
    """Return the playlist in `text`, which was read at `base`.

    Raises:
        ValueError: `text` is not a playlist, or contains a malformed number.
        KeyError: a tag lacks a required attribute.
    """
    lines = [line.strip() for line in text.lstrip("\ufeff").splitlines()]
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise ValueError("does not begin with #EXTM3U")
    parser = _Parser(base)
    for line in lines[1:]:
        tag, _, value = line.partition(":")
        if line.startswith("#"):
            parser.tag(tag, value)
        elif line:
            parser.address(line)
    return Playlist(
        variants=tuple(parser.variants),
        first=parser.first,
        segments=tuple(parser.segments),
        target_seconds=parser.target_seconds,
        ended=parser.ended,
        encrypted=parser.encrypted,
    )


class _Parser:
    """Parse the lines of a playlist one by one; the attributes are those of Playlist."""

    def __init__(self, base: str) -> None:
        self.variants: list[tuple[int, str]] = []
        self.segments: list[tuple[Segment, Segment | None]] = []
        self.first = 0
        self.target_seconds = 10.0
        self.ended = False
        self.encrypted: str | None = None
        self._base = base
        self._head: Segment | None = None
        self._span: tuple[int, int] | None = None
        self._seconds = 0.0
        self._utc: float | None = None
        self._bits: int | None = None
        self._tags: dict[str, Callable[[str], None]] = {
            "#EXT-X-STREAM-INF": self._variant,
            "#EXT-X-MEDIA-SEQUENCE": self._sequence,
            "#EXT-X-TARGETDURATION": self._target,
            "#EXT-X-ENDLIST": self._end,
            "#EXT-X-KEY": self._key,
            "#EXT-X-MAP": self._map,
            "#EXT-X-BYTERANGE": self._range,
            "#EXT-X-PROGRAM-DATE-TIME": self._date,
            "#EXTINF": self._length,
        }

    def tag(self, tag: str, value: str) -> None:
        if tag in self._tags:
            self._tags[tag](value)

    def address(self, line: str) -> None:
        url = urljoin(self._base, line)
        if self._bits is not None:
            self.variants.append((self._bits, url))
        else:
            self.segments.append((Segment(url, self._span, self._seconds, self._utc), self._head))
            self._head = self._utc = None
        self._span, self._bits = None, None

    def _variant(self, value: str) -> None:
        self._bits = int(_attributes(value).get("BANDWIDTH", "0"))

    def _sequence(self, value: str) -> None:
        self.first = int(value)

    def _target(self, value: str) -> None:
        self.target_seconds = max(0.5, float(value))

    def _end(self, _: str) -> None:
        self.ended = True

    def _key(self, value: str) -> None:
        method = _attributes(value).get("METHOD", "NONE")
        self.encrypted = self.encrypted if method == "NONE" else method

    def _map(self, value: str) -> None:
        attributes = _attributes(value)
        self._head = Segment(urljoin(self._base, attributes["URI"]), _span(attributes.get("BYTERANGE"), 0), 0.0)

    def _range(self, value: str) -> None:
        last = self.segments[-1][0].span if self.segments else None
        self._span = _span(value, 0 if last is None else last[0] + last[1])

    def _date(self, value: str) -> None:
        stated = datetime.fromisoformat(value)
        self._utc = None if stated.tzinfo is None else stated.timestamp()

    def _length(self, value: str) -> None:
        self._seconds = float(value.partition(",")[0] or 0)


def _attributes(value: str) -> dict[str, str]:
    return {key: part.strip('"') for key, part in _ATTRIBUTE.findall(value)}


def _span(text: str | None, start: int) -> tuple[int, int] | None:
    if text is None:
        return None
    length, _, offset = text.partition("@")
    return (int(offset) if offset else start, int(length))


def stated_start(segments: Sequence[Segment]) -> tuple[float, float] | None:
    """Return (UTC of the first frame, bound on its error in seconds) as the dates of `segments` say; None without.

    The dates are led back to the first frame by the lengths of the segments; where recording paused, they disagree.
    """
    starts: list[float] = []
    passed = 0.0
    for segment in segments:
        if segment.utc is not None:
            starts.append(segment.utc - passed)
        passed += segment.seconds
    return (starts[0], max(starts) - min(starts)) if starts else None


class HlsReader:
    """The bytes of a playlist's segments in order, like a pipe; `str()` returns the address.

    Attributes:
        ended: whether the playlist is complete, and so a recording.
        start: (UTC of its first frame, bound on the error in seconds), if the playlist holds dates.
    """

    def __init__(self, address: str, options: CaptureOptions, stopped: Callable[[], bool] = lambda: False) -> None:
        """Read the playlist.

        Args:
            address: URL or path of the playlist.
            options: time limits and TLS options.
            stopped: called while it waits; the stream ends once it returns true.

        Raises:
            OpenError: there is no playlist, or its segments are encrypted.
        """
        self._address = address
        self._options = options
        self._stopped = stopped
        self._folder = None if is_url(address) else Path(address).resolve().parent
        self._url = address if self._folder is None else Path(address).resolve().as_uri()
        self._open: http.client.HTTPResponse | BinaryIO | None = None
        self._left: int | None = None  # bytes left of the open segment, if its length is stated
        self._due: deque[Segment] = deque()
        self._missing = 0
        self._loaded = 0.0
        try:
            self._allowed = Neighbourhood.of(None if self._folder else self._url)
            playlist = self._load()
            if playlist.variants:
                self._url = max(playlist.variants)[1]
                playlist = self._load()
        except (WebError, OSError) as error:
            raise OpenError(f"{redact(address)}: {redact(error)}") from None
        except (ValueError, KeyError) as error:
            raise OpenError(f"{redact(address)}: is not a playlist of HLS: {redact(error)}", permanent=True) from None
        if playlist.encrypted is not None:
            what = f"its segments are encrypted ({playlist.encrypted}), which is not supported"
            raise OpenError(f"{redact(address)}: {what}", permanent=True)
        if not playlist.segments and playlist.ended:
            raise OpenError(f"{redact(address)}: the playlist has no segments", permanent=True)
        self.ended = playlist.ended
        self._target_seconds = playlist.target_seconds
        self.start = stated_start([segment for segment, _ in playlist.segments]) if playlist.ended else None
        back = 0 if playlist.ended else max(0, len(playlist.segments) - _LIVE_SEGMENTS)
        self._next = playlist.first + back
        self._last_news = time.monotonic()
        heads = [head for _, head in playlist.segments[:back] if head is not None]
        self._due.extend(heads[-1:])
        self._add(playlist)

    def __str__(self) -> str:
        return self._address

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes and at least one; none at the end."""
        while not self._stopped():
            if self._open is None and not self._begin_next():
                return b""
            if self._open is None:
                continue
            data = self._read_open(size)
            if data:
                self._missing = 0
                return data
            self._close_segment()
        return b""

    def close(self) -> None:
        """Close the open segment; a second call does nothing."""
        self._close_segment()

    def _read_open(self, size: int) -> bytes:
        assert self._open is not None  # noqa: S101 - asked for by the one caller after a look
        wanted = size if self._left is None else min(size, self._left)
        try:
            data = self._open.read(wanted) if wanted else b""
        except (OSError, http.client.HTTPException) as error:
            log.warning("%s: a segment broke off: %s", redact(self._address), redact(error))
            return b""
        if self._left is not None:
            self._left -= len(data)
        return data

    def _close_segment(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _begin_next(self) -> bool:
        """Open the next segment, wait for it if the playlist grows, and return whether the stream continues."""
        while not self._due:
            if self.ended or time.monotonic() - self._last_news > _PATIENCE_TARGETS * self._target_seconds:
                return False
            while time.monotonic() < self._loaded + self._target_seconds / 2:
                if self._stopped():
                    return False
                time.sleep(_POLL_SECONDS)
            try:
                self._add(self._load())
            except (OSError, ValueError, KeyError) as error:
                log.warning("%s: the playlist cannot be read again: %s", redact(self._address), redact(error))
        segment = self._due.popleft()
        self._left = None if segment.span is None else segment.span[1]
        try:
            self._open = self._reach(segment.url, segment.span)
        except OSError as error:
            self._missing += 1
            log.warning("%s: a segment is left out: %s", redact(self._address), redact(error))
            return self._missing < _MOST_MISSING
        return True

    def _add(self, playlist: Playlist) -> None:
        """Append the segments that are new in `playlist` to those that are due."""
        for number, (segment, head) in enumerate(playlist.segments, start=playlist.first):
            if number >= self._next:
                self._due.extend([segment] if head is None else [head, segment])
                self._next, self._last_news = number + 1, time.monotonic()
        self.ended = playlist.ended

    def _load(self) -> Playlist:
        self._loaded = time.monotonic()
        opened = self._reach(self._url, None)
        try:
            data = opened.read(_LIMIT_BYTES + 1)
        finally:
            opened.close()
        if len(data) > _LIMIT_BYTES:
            raise ValueError(f"more than {_LIMIT_BYTES >> 20} MB")
        return parse_playlist(data.decode("utf-8", "replace"), self._url)

    def _reach(self, url: str, span: tuple[int, int] | None) -> http.client.HTTPResponse | BinaryIO:
        """Open `url`: http(s) at allowed hosts, files only beside a playlist that is a file."""
        scheme = urlsplit(url).scheme
        if scheme != "file":
            answer, came_from = fetch(url, self._allowed, self._options, span)
            if url == self._url:
                self._url = came_from
            if span is not None and answer.status == 200:
                _skip(answer, span[0])  # this server does not support ranges
            return answer
        path = Path(unquote(urlsplit(url).path)).resolve()
        if self._folder is None or not path.is_relative_to(self._folder):
            raise WebError(f"{path.name} lies outside the playlist's own folder")
        file = path.open("rb")
        if span is not None:
            file.seek(span[0])
        return file


def _skip(answer: http.client.HTTPResponse, count: int) -> None:
    while count > 0:
        data = answer.read(min(count, 1 << 20))
        if not data:
            return
        count -= len(data)
