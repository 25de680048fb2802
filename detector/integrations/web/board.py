"""The state of the page, folded from the messages and heartbeats of its feeds. No sockets, no files, one thread."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from detector.events import FLASH_TOPIC, Flash
from detector.integrations.web.storm import StormWatch
from detector.integrations.web.tallies import Tallies
from detector.output.report.words import reasons, told_reasons
from detector.settings import StormSettings
from stream import Heartbeat, Received

CAMERA_TOPIC = "ev.camera."
SYSTEM_TOPIC = "ev.system"
KEPT_FLASHES = 2000
"""The newest of all sites; older ones are for `report`, which reads journal and folder."""
_URN = "urn:lightning-detector:"
_AWAY_SECONDS = 3.5  # three heartbeats, as subscribers count


@dataclass(slots=True)
class SiteState:
    """One publisher.

    Attributes:
        name: the site's name.
        endpoint: endpoint of its feed.
        sequence: the last number of its feed.
        durable: whether its journal is written.
        heard: time.monotonic() of its last sign of life.
        heard_utc: the same in seconds since 1970.
        status: status of its last heartbeat with one.
        status_at: time.monotonic() of that heartbeat.
        system: data of its last system event.
        problem: why it cannot be received, if known.
    """

    name: str
    endpoint: str
    sequence: int = 0
    durable: bool = True
    heard: float = -1e9
    heard_utc: float | None = None
    status: dict[str, Any] = field(default_factory=dict)
    status_at: float = -1e9
    system: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None

    def away(self, now: float) -> bool:
        """Return whether nothing came for three heartbeats."""
        return now - self.heard > _AWAY_SECONDS


@dataclass(slots=True)
class CameraState:
    """One camera of a site: its last event, and its counters of the last heartbeat."""

    site: str
    name: str
    event: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, Any] = field(default_factory=dict)
    counters_at: float = -1e9

    @property
    def state(self) -> str:
        """The state in the newer of the two."""
        return str(self.counters.get("state") or self.event.get("state") or "connecting")

    def age(self, now: float) -> float | None:
        """Return the seconds since its last frame; None before the first, or if unknown."""
        age = self.counters.get("age")
        return None if age is None else float(age) + now - self.counters_at


@dataclass(frozen=True, slots=True)
class FlashEntry:
    """The last revision of one flash.

    Attributes:
        site: site that published it.
        sequence: number of its message.
        flash: the flash.
        data: the same as received.
        at: start in seconds since 1970 or, if unknown, time of publication.
        words: reasons for or against lightning.
        published: time of publication in seconds since 1970.
    """

    site: str
    sequence: int
    flash: Flash
    data: dict[str, Any]
    at: float
    words: tuple[str, ...]
    published: float


class Board:
    """Fold the messages of feeds into the state of the page; used in one thread.

    Args:
        changed: called with "flash" and its id, or "state" and "", after each change.
        storm: when a storm begins and ends.
    """

    def __init__(
        self,
        changed: Callable[[str, str], None] = lambda _kind, _id: None,
        storm: StormSettings = StormSettings(),  # noqa: B008 - it is frozen
    ) -> None:
        self.sites: dict[str, SiteState] = {}
        self.cameras: dict[tuple[str, str], CameraState] = {}
        self.flashes: OrderedDict[str, FlashEntry] = OrderedDict()
        self.tallies = Tallies()
        self.storms = StormWatch(storm)
        self.changed = changed
        self._site_at: dict[str, str] = {}
        self._live_from: dict[str, int] = {}

    def begin(self, endpoint: str, feed: str, last: int) -> None:
        """Count only messages after number `last` of `feed`: earlier ones were before the start of this page."""
        self._live_from.setdefault(f"{endpoint} {feed}", last)

    def trouble(self, endpoint: str, problem: str | None) -> None:
        """Note why an endpoint cannot be received."""
        self._at(endpoint).problem = problem
        self.changed("state", "")

    def hear(self, endpoint: str, heartbeat: Heartbeat) -> None:
        """Process a heartbeat."""
        status = heartbeat.status if isinstance(heartbeat.status, dict) else None
        sites = status.get("sites") if status else None
        if status is not None and isinstance(status.get("site"), str) and not isinstance(sites, dict):
            self._name(endpoint, status["site"])
        site = self._at(endpoint)
        was_away = site.away(time.monotonic())
        self._alive(site)
        site.sequence, site.durable, site.problem = heartbeat.last, heartbeat.durable, None
        if isinstance(sites, dict):
            self._name(endpoint, str(status["site"]) if status else endpoint)
            for name, inner in sites.items():
                if isinstance(inner, dict):
                    self._relayed(endpoint, str(name), inner, heartbeat)
        elif status is not None:
            self._status(site, status, 0.0)
        if was_away or status is not None:
            self.changed("state", "")

    def add(self, received: Received) -> None:
        """Process a message."""
        message = received.message
        name = message.source.removeprefix(_URN)
        site = self.sites.get(name)
        if site is None:
            if received.endpoint not in self._site_at:
                self._name(received.endpoint, name)
            site = self.sites.setdefault(name, SiteState(name, received.endpoint))
        self._alive(self._at(received.endpoint))
        site.sequence = max(site.sequence, received.sequence)
        data = message.data
        live = received.sequence > self._live_from.get(f"{received.endpoint} {message.feed}", -1)
        if received.topic.startswith(FLASH_TOPIC):
            self._flash(name, received, live=live)
        elif received.topic.startswith(CAMERA_TOPIC):
            camera = self._camera(name, message.subject)
            camera.event = data
            if camera.counters:
                camera.counters = camera.counters | {"state": data.get("state")}
            self.changed("state", "")
        elif received.topic == SYSTEM_TOPIC:
            site.system = data
            if isinstance(data.get("cameras"), list):
                self._keep_only(name, [str(one) for one in data["cameras"]])
            self.changed("state", "")

    def camera_list(self) -> Iterator[CameraState]:
        """Return the cameras in order of site and name."""
        for key in sorted(self.cameras):
            yield self.cameras[key]

    def confirmed(self) -> list[tuple[float, str]]:
        """Return time and camera of each confirmed flash."""
        return [(one.at, f"{one.site} {one.flash.camera}") for one in self.flashes.values() if _confirmed(one)]

    def _flash(self, site: str, received: Received, *, live: bool) -> None:
        try:
            flash = received.wire.data_as(Flash)
        except msgspec.ValidationError:
            return  # of a later version with other words
        before = self.flashes.get(flash.id)
        if before is not None and before.flash.revision >= flash.revision:
            return
        published = _seconds(received.message.time) or time.time()
        words = (
            reasons(flash, bolt=None)
            if flash.state == "confirmed"
            else ()
            if flash.state == "detected"
            else told_reasons(flash)
        )
        at = _seconds(flash.start_utc) or published
        self.flashes[flash.id] = FlashEntry(site, received.sequence, flash, received.message.data, at, words, published)
        self.storms.take(flash, site, at)
        while len(self.flashes) > KEPT_FLASHES:
            self.flashes.popitem(last=False)
            self.storms.forget_before(next(iter(self.flashes.values())).at)
        if live:
            self.tallies.flash(site, flash, first=before is None or before.flash.state != flash.state)
        self.changed("flash", flash.id)

    def _relayed(self, endpoint: str, name: str, status: dict[str, Any], heartbeat: Heartbeat) -> None:
        site = self.sites.setdefault(name, SiteState(name, endpoint))
        age = status.get("age")
        age = float(age) if isinstance(age, float | int) else 0.0
        site.heard, site.heard_utc = time.monotonic() - age, time.time() - age
        site.durable = heartbeat.durable
        self._status(site, status, age)

    def _status(self, site: SiteState, status: dict[str, Any], age: float) -> None:
        site.status, site.status_at = status, time.monotonic() - age
        cameras = status.get("cameras")
        if isinstance(cameras, dict):
            for name, counters in cameras.items():
                if isinstance(counters, dict):
                    camera = self._camera(site.name, str(name))
                    camera.counters, camera.counters_at = counters, site.status_at
            self._keep_only(site.name, [str(name) for name in cameras])

    def _keep_only(self, site: str, names: list[str]) -> None:
        for key in [key for key in self.cameras if key[0] == site and key[1] not in names]:
            del self.cameras[key]
        for name in names:
            self._camera(site, name)

    def _camera(self, site: str, name: str) -> CameraState:
        return self.cameras.setdefault((site, name), CameraState(site, name))

    def _at(self, endpoint: str) -> SiteState:
        """Return the publisher at `endpoint`; its address is used until its name is known."""
        name = self._site_at.get(endpoint, endpoint)
        return self.sites.setdefault(name, SiteState(name, endpoint))

    def _name(self, endpoint: str, name: str) -> None:
        if self._site_at.get(endpoint) == name:
            return
        before = self.sites.pop(self._site_at.get(endpoint, endpoint), None)
        self._site_at[endpoint] = name
        if before is not None and name not in self.sites:
            before.name = name
            self.sites[name] = before

    @staticmethod
    def _alive(site: SiteState) -> None:
        site.heard, site.heard_utc = time.monotonic(), time.time()


def _confirmed(one: FlashEntry) -> bool:
    return one.flash.state == "confirmed"


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
