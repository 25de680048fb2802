"""The states of cameras and sites as topics and payloads, folded from a feed, without sockets."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from detector.events import FLASH_TOPIC, Flash
from detector.integrations.web.board import Board
from detector.integrations.web.folder import RunFolders
from detector.storms.events import STORM_TYPE, Storm
from stream import Heartbeat, Received, utc_text

LIT_SECONDS = 30
"""Seconds that a camera's `flash` stays ON after a confirmed flash."""
COUNT_SECONDS = 600.0
"""Seconds over which `flashes_10_min` counts."""
UNKNOWN = b"None"
"""The payload for an unknown value in home automation."""
_URN = "urn:lightning-detector:"
_LARGEST_STILL = 5_000_000


@dataclass(slots=True)
class _CameraFlashes:
    """Confirmed flashes of one camera: the recent ones by id, the last one, the time of its message, and its still."""

    recent: dict[str, float] = field(default_factory=dict)
    last: float | None = None
    told: float = float("-inf")
    still: bytes | None = None
    still_of: float = float("-inf")


class States:
    """The known state of the cameras and sites of a feed.

    Args:
        prefix: prefix of all topics.
        folders: folders of `--out`, which contain stills.

    Attributes:
        listened: time.monotonic() of the last read from the feed; silence counts only up to then.
    """

    def __init__(self, prefix: str, folders: RunFolders) -> None:
        self._prefix = prefix
        self._folders = folders
        self._board = Board()
        self._flashes: dict[tuple[str, str], _CameraFlashes] = {}
        self._storms: dict[str, dict[str, Storm]] = {}
        self.listened = time.monotonic()

    def hear(self, endpoint: str, heartbeat: Heartbeat) -> None:
        """Process a heartbeat."""
        self._board.hear(endpoint, heartbeat)

    def add(self, received: Received) -> None:
        """Process a message; one with words of a later version changes nothing."""
        site = received.message.source.removeprefix(_URN)
        if not received.topic.startswith(FLASH_TOPIC) or site not in self._board.sites:
            self._board.add(received)  # it keeps flashes with all their words, which nobody reads here
        try:
            if received.topic.startswith(FLASH_TOPIC):
                self._add_flash(site, received)
            elif received.message.type == STORM_TYPE:
                self._add_storm(received.wire.data_as(Storm))
        except msgspec.ValidationError:
            return

    def cameras(self) -> list[tuple[str, str]]:
        """Return site and name of each watched camera."""
        return [(camera.site, camera.name) for camera in self._board.camera_list()]

    def sites(self) -> list[str]:
        """Return the sites whose names are known."""
        return sorted({name for name in self._board.sites if "/" not in name} | self._storms.keys())

    def topics(self, now: float | None = None) -> dict[str, bytes]:
        """Return the payload of each topic at `now`, seconds since 1970; all are retained."""
        now = time.time() if now is None else now
        found: dict[str, bytes] = {}
        for camera in self._board.camera_list():
            base = camera_base(self._prefix, camera.site, camera.name)
            flashes = self._flashes.get((camera.site, camera.name)) or _CameraFlashes()
            flashes.recent = {name: at for name, at in flashes.recent.items() if at > now - COUNT_SECONDS}
            found[f"{base}/flash"] = _switch(on=abs(now - flashes.told) < LIT_SECONDS)
            found[f"{base}/last_flash"] = UNKNOWN if flashes.last is None else utc_text(flashes.last).encode()
            found[f"{base}/flashes_10_min"] = str(len(flashes.recent)).encode()
            found[f"{base}/connected"] = _switch(on=camera.state == "live")
            if flashes.still is not None:
                found[f"{base}/still"] = flashes.still
        for site in self.sites():
            base = f"{self._prefix}/{site}"
            storm = self._storm(site)
            on = storm is not None and storm.state != "ended"
            found[f"{base}/storm"] = _switch(on=on)
            found[f"{base}/all_clear"] = storm.all_clear_at.encode() if storm and storm.all_clear_at else UNKNOWN
            found[f"{base}/rate"] = f"{storm.rate_per_minute if storm and on else 0.0:g}".encode()
            found[f"{base}/status"] = b"online" if self._is_heard(site) else b"offline"
        return found

    def _is_heard(self, site: str) -> bool:
        """Return whether a site's publisher is heard; that of a relay's own storms has none, and needs any other."""
        own = self._board.sites.get(site)
        return any(not one.away(self.listened) for one in ([own] if own else self._board.sites.values()))

    def _add_flash(self, site: str, received: Received) -> None:
        flash = received.wire.data_as(Flash)
        if flash.state != "confirmed":
            return
        known = self._flashes.setdefault((site, flash.camera), _CameraFlashes())
        published = _seconds(received.message.time)
        at = published if flash.start_utc is None else _seconds(flash.start_utc)
        known.recent[flash.id] = at
        known.last = at if known.last is None else max(known.last, at)
        if not flash.changed or "state" in flash.changed:
            known.told = max(known.told, published)
        if flash.media.still is not None and at >= known.still_of:
            still = self._still(site, flash.media.still)
            if still is not None:
                known.still, known.still_of = still, at

    def _still(self, site: str, name: str) -> bytes | None:
        path = self._folders.file(site, name)
        try:
            fits = path is not None and path.stat().st_size <= _LARGEST_STILL
            return path.read_bytes() if path is not None and fits else None
        except OSError:
            return None

    def _add_storm(self, storm: Storm) -> None:
        storms = self._storms.setdefault(storm.site, {})
        before = storms.get(storm.id)
        if before is None or before.revision < storm.revision:
            storms[storm.id] = storm
        while len(storms) > 20:
            del storms[next(iter(storms))]

    def _storm(self, site: str) -> Storm | None:
        """Return the current storm, or the last one, without those merged into others or left without flashes."""
        real = [one for one in self._storms.get(site, {}).values() if one.flash_count and one.merged_into is None]
        return max(
            real, key=lambda one: (one.state != "ended", one.last_utc or "", one.last_seconds or 0.0), default=None
        )


def camera_base(prefix: str, site: str, camera: str) -> str:
    """Return the prefix of a camera's topics."""
    return f"{prefix}/{site}/camera/{camera}"


def event_topic(prefix: str, received: Received) -> str:
    """Return the topic of an event, e.g. PREFIX/SITE/event/flash/CAMERA; never retained."""
    site = received.message.source.removeprefix(_URN)
    return f"{prefix}/{site}/event/{received.topic.removeprefix('ev.').replace('.', '/')}"


def _switch(*, on: bool) -> bytes:
    return b"ON" if on else b"OFF"


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
