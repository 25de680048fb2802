"""What of a feed is worth a message: a fold over messages, heartbeats and the clock, without sockets."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from detector.events import FLASH_TOPIC, Flash, Media
from detector.integrations.web.board import Board, CameraState
from detector.settings import AlertKind, NotifySettings
from detector.storms.events import STORM_TYPE, Storm
from stream import Heartbeat, Received

_URN = "urn:lightning-detector:"
_REMEMBERED = 2000
_DISK_WELL = 1.5  # of the limit: a disk about it would be told of again and again


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell.

    Attributes:
        id: the same thing has the same id, also after a restart.
        kind: what happened.
        subject: what it happened to; a later alert of one subject may take the place of one not sent yet.
        site: where.
        at: when, seconds since 1970.
        facts: what templates may name.
        flash: the flash that shows it, if any.
    """

    id: str
    kind: AlertKind
    subject: str
    site: str
    at: float
    facts: dict[str, Any]
    flash: str | None = None


class FoldState(msgspec.Struct, kw_only=True):
    """What must survive a restart.

    Attributes:
        told: ids of alerts that were made.
        last_flash: time of the last confirmed flash, by site.
        down: since when a camera or site is not there, by its name.
        down_told: those of them that were told.
        disk_low: folders that were told to be full.
    """

    told: dict[str, None] = {}
    last_flash: dict[str, float] = {}
    down: dict[str, float] = {}
    down_told: dict[str, None] = {}
    disk_low: dict[str, None] = {}


class AlertFold:
    """Makes alerts, each once.

    Args:
        settings: what is told of, and from when on.
        quiet_seconds: a flash after so long without one is a first flash.
        state: of the run before.

    Attributes:
        state: what must survive a restart.
        media: stills and clips by flash, as far as they are known.
    """

    def __init__(self, settings: NotifySettings, quiet_seconds: float, state: FoldState | None = None) -> None:
        self.state = state or FoldState()
        self.media: dict[str, tuple[str, Media]] = {}
        self._settings = settings
        self._quiet_seconds = quiet_seconds
        self._board = Board()

    def hear(self, endpoint: str, heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""
        self._board.hear(endpoint, heartbeat)

    def take(self, received: Received) -> list[Alert]:
        """Take a message and return what it is worth; one whose words are of a later version is worth nothing."""
        site = received.message.source.removeprefix(_URN)
        if not received.topic.startswith(FLASH_TOPIC) or site not in self._board.sites:
            self._board.add(received)  # it keeps flashes with all their words, which nobody reads here
        try:
            if received.topic.startswith(FLASH_TOPIC):
                return self._chosen(self._of_flash(site, received))
            if received.message.type == STORM_TYPE:
                return self._chosen(self._of_storm(received.wire.data_as(Storm), received))
        except msgspec.ValidationError:
            pass
        return []

    def due(self, now: float, steady: float) -> list[Alert]:
        """Return what the clock and the heartbeats are worth.

        Args:
            now: seconds since 1970.
            steady: time.monotonic() of when the feed was listened to last.
        """
        return self._chosen([*self._of_sites(now, steady), *self._of_cameras(now, steady), *self._of_disks(now)])

    def _chosen(self, alerts: Iterator[Alert] | list[Alert]) -> list[Alert]:
        found = []
        for alert in alerts:
            if alert.id not in self.state.told:
                self.state.told[alert.id] = None
                if alert.kind in self._settings.on:
                    found.append(alert)
        while len(self.state.told) > _REMEMBERED:
            del self.state.told[next(iter(self.state.told))]
        return found

    def _of_flash(self, site: str, received: Received) -> Iterator[Alert]:
        flash = received.wire.data_as(Flash)
        if flash.state != "confirmed":
            return
        self.media.pop(flash.id, None)
        self.media[flash.id] = (site, flash.media)
        while len(self.media) > _REMEMBERED:
            del self.media[next(iter(self.media))]
        at = _seconds(flash.start_utc or received.message.time)
        last = self.state.last_flash.get(site)
        self.state.last_flash[site] = at if last is None else max(at, last)
        if last is None or at - last > self._quiet_seconds:
            facts = {"camera": flash.camera, "pulses": len(flash.pulses), "duration": flash.duration_seconds}
            yield Alert(
                id=f"first {flash.id}",
                kind="first_flash",
                subject=f"flash {site}",
                site=site,
                at=at,
                facts=facts,
                flash=flash.id,
            )

    @staticmethod
    def _of_storm(storm: Storm, received: Received) -> Iterator[Alert]:
        if storm.state == "updated" or storm.merged_into is not None:
            return
        facts = {
            "flashes": storm.flash_count,
            "rate": storm.rate_per_minute,
            "trend": storm.trend,
            "cameras": ", ".join(storm.cameras),
            "first": _moment(storm.first_utc),
            "last": _moment(storm.last_utc),
            "quiet_minutes": storm.quiet_minutes,
            "strongest_camera": storm.strongest.camera,
        }
        yield Alert(
            id=f"{storm.state} {storm.id}",
            kind="storm_began" if storm.state == "began" else "storm_ended",
            subject=f"storm {storm.id}",
            site=storm.site,
            at=_seconds(received.message.time),
            facts=facts,
            flash=storm.last_flash if storm.state == "began" else storm.strongest.flash,
        )

    def _of_sites(self, now: float, steady: float) -> Iterator[Alert]:
        for name, site in self._board.sites.items():
            if "/" not in name:  # else an address whose site is not known yet
                there = not site.away(steady)
                yield from self._there_or_not(name, name, now, there=there, facts={}, kind="site_down")

    def _of_cameras(self, now: float, steady: float) -> Iterator[Alert]:
        for camera in self._board.camera_list():
            site = self._board.sites.get(camera.site)
            if site is not None and not site.away(steady):
                facts = {"camera": camera.name, "state": camera.state, "error": _error(camera)}
                name = f"{camera.site}/{camera.name}"
                there = camera.state == "live"
                yield from self._there_or_not(name, camera.site, now, there=there, facts=facts, kind="camera_down")

    def _there_or_not(
        self, name: str, site: str, now: float, *, there: bool, facts: dict[str, Any], kind: AlertKind
    ) -> Iterator[Alert]:
        state = self.state
        limit = self._settings.site_down_seconds if kind == "site_down" else self._settings.camera_down_seconds
        since = state.down.get(name)
        word = kind
        if there:
            state.down.pop(name, None)
            if name not in state.down_told or since is None:
                return
            del state.down_told[name]
            word = "camera_back" if kind == "camera_down" else "site_back"
        elif since is None:
            state.down[name] = now
            return
        elif now - since < limit or name in state.down_told:
            return
        else:
            state.down_told[name] = None
        facts = facts | {"since": since, "seconds": round(now - since)}
        subject = f"{kind.partition('_')[0]} {name}"
        yield Alert(id=f"{word} {name} {since:.3f}", kind=word, subject=subject, site=site, at=now, facts=facts)

    def _of_disks(self, now: float) -> Iterator[Alert]:
        limit = self._settings.disk_low_mb
        for name, site in self._board.sites.items():
            free = site.status.get("free_mb")
            for folder, megabytes in (free if isinstance(free, dict) else {}).items():
                key = f"{name}/{folder}"
                if megabytes >= limit * _DISK_WELL:
                    self.state.disk_low.pop(key, None)
                elif megabytes < limit and key not in self.state.disk_low:
                    self.state.disk_low[key] = None
                    facts = {"folder": folder, "free_mb": megabytes}
                    yield Alert(
                        id=f"disk_low {key} {now:.0f}",
                        kind="disk_low",
                        subject=f"disk {key}",
                        site=name,
                        at=now,
                        facts=facts,
                    )


def _error(camera: CameraState) -> str:
    return str(camera.event.get("last_error") or "no reason is known")


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _moment(text: str | None) -> float | None:
    return None if text is None else _seconds(text)
