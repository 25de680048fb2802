"""A connection to an MQTT broker that comes back by itself; used from one thread, and never blocks for long."""

import logging
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from detector.errors import SettingsError
from detector.placeholders import filled
from stream import Backoff, redact

_log = logging.getLogger(__name__)

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_SECONDS = 20
_CONNECT_SECONDS = 5.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 15.0
_QOS = 1
_MOST_IN_FLIGHT = 200
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is, and who asks.

    Attributes:
        host: name or address.
        port: TCP port.
        tls: whether the connection is encrypted.
        user: name, if the broker asks for one.
        password: of that user.
    """

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_broker(text: str, environment: Mapping[str, str] | None = None) -> BrokerAddress:
    """Return the broker at `mqtt://user:{PASSWORD}@host:port`, or `mqtts://` for TLS.

    Raises:
        SettingsError: it is no such address, or a variable in it is not set.
    """
    example = "write mqtts://user:{MQTT_PASSWORD}@host:8883, or mqtt:// without encryption"
    try:
        parts = urlsplit(filled("--broker", text, environment))
        port = parts.port
    except ValueError:
        raise SettingsError(f"--broker: its port is not a number; {example}") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise SettingsError(f"--broker {redact(text)}: {example}")
    return BrokerAddress(
        parts.hostname,
        port or _PORTS[parts.scheme],
        parts.scheme == "mqtts",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for the broker.

    Attributes:
        topic: where it goes.
        payload: what it says; empty and retained: the broker forgets the topic.
        retain: whether the broker keeps it for those who subscribe later: states are, events are not.
    """

    topic: str
    payload: bytes
    retain: bool


class BrokerClient:
    """Publishes with QoS 1 and says what the broker has acknowledged.

    What was published and not acknowledged is sent again after a lost connection, by this object itself.

    Args:
        address: the broker.
        client_id: names this client; a second one of the same name cuts the first off.
        will: what the broker publishes when this client is gone.
        authority: file with the certificates that the broker's is signed with; the system's if omitted.
        version: of MQTT, "5" or "3.1.1".

    Attributes:
        connections: how often the broker let this client in.
        connected: whether it is in now.

    Raises:
        SettingsError: the file of certificates cannot be read.
    """

    def __init__(
        self, address: BrokerAddress, client_id: str, will: Outgoing, authority: Path | None = None, version: str = "5"
    ) -> None:
        self.connections = 0
        self.connected = False
        self._address = address
        self._sent: dict[int, Outgoing] = {}
        self._answers: list[tuple[int, str | None]] = []
        self._backoff = Backoff(_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS)
        self._next_try = 0.0
        self._open = False
        self._trouble: str | None = None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=_VERSIONS[version], reconnect_on_failure=False
        )
        self._client.connect_timeout = _CONNECT_SECONDS
        self._client.max_inflight_messages = _MOST_IN_FLIGHT
        self._client.will_set(will.topic, will.payload, _QOS, will.retain)
        if address.user is not None:
            self._client.username_pw_set(address.user, address.password)
        if address.tls:
            try:
                self._client.tls_set_context(ssl.create_default_context(cafile=authority))
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(f"{authority}: no certificates in PEM form: {error}") from error
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_socket_open = _send_at_once
        self._client.connect_async(address.host, address.port, _KEEPALIVE_SECONDS)

    def publish(self, message: Outgoing) -> int:
        """Send a message, now or once connected, and return the number under which it is acknowledged."""
        info = self._client.publish(message.topic, message.payload, _QOS, message.retain)
        self._sent[info.mid] = message
        return info.mid

    def step(self, seconds: float) -> None:
        """Exchange bytes with the broker, for this long at most unless connecting; connect again when it is time."""
        if not self._open:
            wait = self._next_try - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, seconds))
                return
            self._connect()
            return
        code = self._client.loop(seconds)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lost(paho.error_string(code))

    def answers(self) -> dict[int, str | None]:
        """Return, by number, what the broker has answered since: None for taken, else why it refused the message."""
        answered, self._answers = dict(self._answers), []
        for mid in answered:
            self._sent.pop(mid, None)
        return answered

    def close(self, farewell: Outgoing, seconds: float = 2.0) -> None:
        """Say goodbye, so that the broker publishes no will, and hang up."""
        if self.connected:
            last = self.publish(farewell)
            deadline = time.monotonic() + seconds
            while last in self._sent and self._open and time.monotonic() < deadline:
                self.step(0.05)
                self.answers()
        with suppress(OSError, ValueError):
            self._client.disconnect()
            self._client.loop(0.1)

    def _connect(self) -> None:
        try:
            self._client.reconnect()
            self._open = True
        except ssl.SSLCertVerificationError as error:
            self._lost(f"its certificate is not trusted ({error.verify_message}); give --broker-ca FILE", refused=True)
        except (OSError, ValueError) as error:
            self._lost(str(getattr(error, "strerror", None) or error))

    def _lost(self, why: str, *, refused: bool = False) -> None:
        self._open = self.connected = False
        self._next_try = time.monotonic() + self._backoff.next_wait()
        if self._trouble is None or (refused and self._trouble != why):
            _log.warning("broker %s: %s; trying again", self._address, why)
            self._trouble = why

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            self._lost(f"{reason}; check user and password of --broker", refused=True)
            return
        self.connected = True
        self.connections += 1
        self._backoff.reset()
        _log.info("broker %s: connected", self._address)
        self._trouble = None

    def _on_disconnect(self, _client: object, _data: object, flags: Any, reason: Any, _properties: object) -> None:
        if self._open and flags.is_disconnect_packet_from_server:
            more = ": another client has the same name; give --client-id" if "taken over" in str(reason) else ""
            self._lost(f"{reason}{more}", refused=True)

    def _on_publish(self, _client: object, _data: object, mid: int, reason: Any, _properties: object) -> None:
        self._answers.append((mid, str(reason) if reason.is_failure else None))


def _send_at_once(_client: object, _data: object, connection: Any) -> None:
    """Have small messages sent without waiting for the answer to those before."""
    with suppress(OSError, AttributeError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
