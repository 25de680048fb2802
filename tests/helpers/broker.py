"""Debian's mosquitto as the tests run it: with users, with TLS, killed and started again; and who listens there."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from helpers.waiting import wait_until

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin")
USER, PASSWORD = "bridge", "p@ss:w/rd?"


def missing() -> str | None:
    """Why no broker can be run here."""
    for name, there in (("mosquitto", MOSQUITTO), ("mosquitto_passwd", shutil.which("mosquitto_passwd"))):
        if there is None:
            return f"{name} is not installed (apt-get install mosquitto)"
    return None if shutil.which("openssl") else "openssl is not installed"


def made_certificates(folder: Path) -> Path:
    """Make an authority (ca.pem) and a certificate of localhost (server.pem, server.key); return the former."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=made authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-out", "server.pem", "-extfile", "names")  # fmt: skip
    return folder / "ca.pem"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Broker:
    """A mosquitto that asks for a password, and keeps its sessions and retained messages on disk.

    Attributes:
        port: with password, without encryption.
        tls_port: with password and TLS.
        authority: file with the certificate that signed the broker's.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    authority: Path = Path()
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = made_certificates(self.folder)
        users = self.folder / "users"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), USER, PASSWORD], check=True, capture_output=True)
        users.chmod(0o644)
        (self.folder / "acl").write_text(f"user {USER}\ntopic readwrite #\ntopic deny forbidden/#\n")
        (self.folder / "mosquitto.conf").write_text(
            f"per_listener_settings false\nallow_anonymous false\npassword_file {users}\nacl_file {self.folder}/acl\n"
            f"persistence true\npersistence_location {self.folder}/\nautosave_on_changes true\nautosave_interval 1\n"
            f"max_inflight_messages 0\nmax_queued_messages 0\nuser root\n"
            f"listener {self.port} 127.0.0.1\n"
            f"listener {self.tls_port} 127.0.0.1\ncertfile {self.folder}/server.pem\nkeyfile {self.folder}/server.key\n"
        )

    def start(self) -> None:
        """Start it, and return when it listens."""
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, 120)

    def kill(self) -> None:
        """Kill it without a chance to save."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
            return True
        return False


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    broker = Broker(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


class Listener:
    """A client of the broker that keeps its session, so that it misses nothing.

    Attributes:
        messages: (topic, payload, retained) of each message, as it came.
        retained: the last payload of each topic whose messages the broker keeps.
    """

    def __init__(self, broker: Broker, *topics: str, name: str = "listener") -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.connected = threading.Event()
        self._topics = topics or ("#",)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv311, clean_session=False
        )
        self._client.username_pw_set(USER, PASSWORD)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda *_: self.connected.clear()
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self.connected.set()
        self._client.connect_async("127.0.0.1", broker.port, 10)
        self._client.loop_start()
        assert self.connected.wait(120)

    def of(self, beginning: str) -> list[tuple[str, bytes, bool]]:
        """Messages whose topics begin with that."""
        return [one for one in list(self.messages) if one[0].startswith(beginning)]

    def last(self, topic: str) -> bytes | None:
        """The last payload of a topic."""
        return next((payload for name, payload, _ in reversed(list(self.messages)) if name == topic), None)

    def wait_for(self, topic: str, payload: bytes | None = None, limit_seconds: float = 90.0) -> bytes:
        """The last payload of a topic, once there is one, or this one."""
        deadline = time.monotonic() + limit_seconds
        while (found := self.last(topic)) is None or (payload is not None and found != payload):
            assert time.monotonic() < deadline, f"{topic} is {found!r}, not {payload!r}"
            time.sleep(0.02)
        return found

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload), bool(message.retain)))


@contextmanager
def listening(broker: Broker, *topics: str, name: str = "listener") -> Iterator[Listener]:
    listener = Listener(broker, *topics, name=name)
    try:
        yield listener
    finally:
        listener.close()
