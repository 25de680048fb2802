"""The bridge: publishes a feed's messages in order, and moves its cursor behind what the broker has acknowledged."""

import hashlib
import logging
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import msgspec

from detector.integrations.mqtt.broker import BrokerAddress, BrokerClient, Outgoing
from detector.integrations.mqtt.discovery import camera_device, config_topic, device_id, site_device
from detector.integrations.mqtt.place import Place
from detector.integrations.mqtt.states import States, event_topic
from detector.integrations.read_back import ReadBack, read_back
from detector.integrations.web.folder import RunFolders
from stream import Backoff, Received, Subscriber, SubscriberOptions

_log = logging.getLogger(__name__)

_IDLE_SECONDS, _BRIEF_SECONDS = 0.2, 0.005
_WINDOW = 20
"""So many events are under way at once: over a link of 100 ms, one by one would be ten a second."""
_REFRESH_SECONDS = 1.0
_FAREWELL_SECONDS = 2.0  # for acknowledgements when told to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeOptions:
    """What the bridge does.

    Attributes:
        endpoint: the feed.
        keys: client key file, if the feed has keys.
        cursor: file that keeps the place between runs.
        broker: where to publish.
        authority: file with the certificates that the broker's is signed with; the system's if None.
        client_id: names this client at the broker; made from endpoint and host name if empty.
        version: of MQTT.
        prefix: of all topics.
        discovery_prefix: of Home Assistant's discovery; None: no discovery.
        folders: where stills lie; without any, none are published.
    """

    endpoint: str
    keys: Sequence[Path] = ()
    cursor: Path | None = None
    broker: BrokerAddress
    authority: Path | None = None
    client_id: str = ""
    version: str = "5"
    prefix: str = "lightning"
    discovery_prefix: str | None = None
    folders: RunFolders = field(default_factory=lambda: RunFolders({}))

    @property
    def name(self) -> str:
        """The client's name."""
        made = hashlib.sha256(f"{socket.gethostname()} {self.endpoint}".encode()).hexdigest()[:12]
        return self.client_id or f"lightning-{made}"


@dataclass(slots=True)
class _InFlight:
    """An event that the broker has not acknowledged yet.

    Attributes:
        received: the message.
        event: what is published of it.
        number: under which it is acknowledged; None while it waits to be published again.
        again: time.monotonic() of when that is.
        taken: whether it was acknowledged.
    """

    received: Received
    event: Outgoing
    number: int | None
    again: float = 0.0
    taken: bool = False


class Bridge:
    """Publishes events once each, and states for those who come later.

    Args:
        options: what it does.

    Raises:
        SettingsError: the file of certificates or the cursor cannot be read.
    """

    def __init__(self, options: BridgeOptions) -> None:
        self._options = options
        self._status = f"{options.prefix}/bridge/{options.name}/status"
        self._states = States(options.prefix, options.folders)
        will = Outgoing(self._status, b"offline", retain=True)
        self._broker = BrokerClient(options.broker, options.name, will, options.authority, options.version)
        self._told: dict[str, bytes] = {}
        self._connections = 0
        self._refreshed = float("-inf")
        self._refusals: set[str] = set()
        self._place = Place(options.cursor)
        self._flying: deque[_InFlight] = deque()
        self._backoff = Backoff(1.0, 30.0)

    def run(self, stop: Event) -> None:
        """Work until `stop` is set.

        Raises:
            FeedError: the endpoint or a key is wrong, or the publisher refuses this client.
        """
        options = self._options
        try:
            known = read_back(
                options.endpoint, options.keys, take=self._states.add, on_heartbeat=self._states.hear, stop=stop
            )
            if self._place.is_new:
                self._place.begin(options.endpoint, known.cursors)
            start = SubscriberOptions(
                since=0, cursors=self._place.cursors, keys=tuple(options.keys), on_heartbeat=self._states.hear
            )
            if not stop.is_set():
                with Subscriber(options.endpoint, options=start) as events:
                    self._forward(events, known, stop)
        finally:
            self._broker.close(Outgoing(self._status, b"offline", retain=True))

    def _forward(self, events: Subscriber, known: ReadBack, stop: Event) -> None:
        while not stop.is_set():
            idle = self._broker.connected and not self._flying
            taken = self._take(events, known, _IDLE_SECONDS if idle else _BRIEF_SECONDS)
            self._step(0.0 if taken else _BRIEF_SECONDS if self._broker.connected else _IDLE_SECONDS)
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while self._flying and self._broker.connected and time.monotonic() < deadline:
            self._step(_BRIEF_SECONDS)
        if self._flying:
            _log.warning("stopped before the broker took the last %d messages; they come again", len(self._flying))

    def _take(self, events: Subscriber, known: ReadBack, seconds: float) -> bool:
        """Publish what has come, while not too much is under way; return whether anything had come."""
        received = events.receive(seconds) if len(self._flying) < _WINDOW else None
        self._states.listened = time.monotonic()
        taken = False
        while received is not None:
            taken = True
            if not known.knows(received):
                self._states.add(received)
            event = Outgoing(event_topic(self._options.prefix, received), received.body, retain=False)
            self._flying.append(_InFlight(received, event, self._broker.publish(event)))
            received = events.receive(0.0) if len(self._flying) < _WINDOW else None
        if taken:
            self._refresh(changed=True)
        return taken

    def _step(self, seconds: float) -> None:
        """Let the broker speak, keep the states true, and move the place behind what was acknowledged."""
        self._broker.step(seconds)
        self._refresh(changed=False)
        answers, now = self._broker.answers(), time.monotonic()
        for why in {why for why in answers.values() if why is not None} - self._refusals:
            self._refusals.add(why)
            _log.warning("the broker refuses messages: %s", why)
        for one in self._flying:
            if one.number is None and now >= one.again:
                one.number = self._broker.publish(one.event)
            elif one.number in answers:
                refusal = answers[one.number]
                one.taken = refusal is None
                if refusal is not None:
                    one.number, one.again = None, now + self._backoff.next_wait()
                    _log.error("the broker refuses %s: %s; trying again", one.event.topic, refusal)
        reached = None
        while self._flying and self._flying[0].taken:
            reached = self._flying.popleft().received
        if reached is not None:
            self._backoff.reset()
            self._place.reach(reached)

    def _refresh(self, *, changed: bool) -> None:
        """Publish the states that differ from what was told; all of them after each connection."""
        if not self._broker.connected:
            return
        new = self._broker.connections != self._connections
        now = time.monotonic()
        if not (new or changed or now - self._refreshed >= _REFRESH_SECONDS):
            return
        if new:
            self._connections = self._broker.connections
            self._told = dict.fromkeys(self._told, b"")
        self._refreshed = now
        wanted = {self._status: b"online", **self._discovery(), **self._states.topics()}
        for topic in [topic for topic in self._told if topic not in wanted]:
            self._broker.publish(Outgoing(topic, b"", retain=True))
            del self._told[topic]
        for topic, payload in wanted.items():
            if self._told.get(topic) != payload:
                self._broker.publish(Outgoing(topic, payload, retain=True))
                self._told[topic] = payload

    def _discovery(self) -> dict[str, bytes]:
        options = self._options
        if options.discovery_prefix is None:
            return {}
        found = {}
        for site in self._states.sites():
            topic = config_topic(options.discovery_prefix, device_id(site))
            found[topic] = msgspec.json.encode(site_device(options.prefix, self._status, site))
        for site, camera in self._states.cameras():
            topic = config_topic(options.discovery_prefix, device_id(site, camera))
            stills = options.folders.folder(site) is not None
            device = camera_device(options.prefix, self._status, site, camera, stills=stills)
            found[topic] = msgspec.json.encode(device)
        return found
