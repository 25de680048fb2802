"""The bridge: takes a feed's messages one after the other, and asks for the next when the broker has acknowledged."""

import hashlib
import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import msgspec

from detector.integrations.mqtt.broker import BrokerAddress, BrokerClient, Outgoing
from detector.integrations.mqtt.discovery import camera_device, config_topic, device_id, site_device
from detector.integrations.mqtt.states import States, event_topic
from detector.integrations.read_back import ReadBack, read_back
from detector.integrations.web.folder import RunFolders
from stream import Backoff, Received, Subscriber, SubscriberOptions

_log = logging.getLogger(__name__)

_IDLE_SECONDS, _BRIEF_SECONDS = 0.2, 0.01
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


class _Unfinished(Exception):
    """Told to stop before the broker acknowledged: the message stays as not dealt with."""


class Bridge:
    """Publishes events once each, and states for those who come later.

    Args:
        options: what it does.

    Raises:
        SettingsError: the file of certificates cannot be read.
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

    def run(self, stop: Event) -> None:
        """Work until `stop` is set.

        Raises:
            FeedError: the endpoint, a key or the cursor file is wrong, or the publisher refuses this client.
        """
        options = self._options
        begins = options.cursor is None or not options.cursor.exists()
        try:
            known = read_back(
                options.endpoint, options.keys, take=self._states.add, on_heartbeat=self._states.hear, stop=stop
            )
            place = SubscriberOptions(
                cursor=options.cursor,
                since=0 if known.cursors else None,
                cursors=known.cursors if begins else {},
                keys=tuple(options.keys),
                on_heartbeat=self._states.hear,
            )
            if not stop.is_set():
                with Subscriber(options.endpoint, options=place) as events:
                    self._forward(events, known, stop)
        except _Unfinished:
            _log.warning("stopped before the broker took the last message; it comes again at the next start")
        finally:
            self._broker.close(Outgoing(self._status, b"offline", retain=True))

    def _forward(self, events: Subscriber, known: ReadBack, stop: Event) -> None:
        while not stop.is_set():
            received = events.receive(_IDLE_SECONDS if self._broker.connected else _BRIEF_SECONDS)
            self._states.listened = time.monotonic()
            if received is not None:
                if not known.knows(received):
                    self._states.add(received)
                self._deliver(received, stop)
            else:
                self._step(_BRIEF_SECONDS if self._broker.connected else _IDLE_SECONDS)

    def _deliver(self, received: Received, stop: Event) -> None:
        """Publish an event and return when the broker has taken it."""
        event = Outgoing(event_topic(self._options.prefix, received), received.body, retain=False)
        backoff, again = Backoff(1.0, 30.0), 0.0
        number: int | None = self._broker.publish(event)
        self._refresh(changed=True)
        stopped: float | None = None
        while number is not None or again:
            answers = self._step(_IDLE_SECONDS)
            if number in answers:
                why, number = answers[number], None
                if why is not None:
                    again = time.monotonic() + backoff.next_wait()
                    _log.error("the broker refuses %s: %s; trying again", event.topic, why)
            if again and time.monotonic() >= again:
                number, again = self._broker.publish(event), 0.0
            if stop.is_set():
                stopped = stopped or time.monotonic()
                if time.monotonic() - stopped > (_FAREWELL_SECONDS if self._broker.connected else 0.0):
                    raise _Unfinished

    def _step(self, seconds: float) -> dict[int, str | None]:
        """Let the broker speak, keep the states true, and return what it answered."""
        self._broker.step(seconds)
        self._refresh(changed=False)
        answers = self._broker.answers()
        for why in {why for why in answers.values() if why is not None} - self._refusals:
            self._refusals.add(why)
            _log.warning("the broker refuses messages: %s", why)
        return answers

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
