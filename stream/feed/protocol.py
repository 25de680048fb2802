"""The wire protocol of the event feed: endpoints, topics, heartbeats, requests and replies (docs/feed.md)."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stream.errors import FeedError
from stream.feed.message import WireMessage

PROTOCOL = 1
HEARTBEAT_TOPIC = b"hb"
EVENT_TOPIC = b"ev."
REQUEST_BYTES = 4096  # a request has some tens of bytes; a client that sends more is disconnected
PAGE_MESSAGES = 500
PAGE_BYTES = 256 * 1024

_ENDPOINT = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
_TOPIC = re.compile(r"ev(\.[a-z0-9-]{1,32}){1,3}")


class Endpoint(NamedTuple):
    """The address of a feed; its history is one port up."""

    host: str
    port: int

    @property
    def events(self) -> str:
        """The address of the PUB socket."""
        return f"tcp://{self.host}:{self.port}"

    @property
    def history(self) -> str:
        """The address of the ROUTER socket."""
        return f"tcp://{self.host}:{self.port + 1}"

    @property
    def loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        ip = self._ip
        return self.host in {"localhost", "lo"} or (ip is not None and ip.is_loopback)

    @property
    def everywhere(self) -> bool:
        """Whether it stands for every address of this machine."""
        ip = self._ip
        return self.host == "*" or (ip is not None and ip.is_unspecified)

    @property
    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.host.strip("[]"))
        except ValueError:
            return None


def parse_endpoint(text: str) -> Endpoint:
    """Parse `tcp://HOST:PORT`.

    Returns:
        the endpoint.

    Raises:
        FeedError: it is not of that form, or leaves no port for the history.
    """
    found = _ENDPOINT.fullmatch(text)
    if not found:
        raise FeedError(f"feed endpoint {text!r}: expected tcp://HOST:PORT, e.g. tcp://127.0.0.1:5556")
    port = int(found["port"])
    if not 1 <= port <= 65534:
        raise FeedError(f"feed endpoint {text!r}: port {port} is not in 1..65534 (history takes the next one up)")
    return Endpoint(found["host"], port)


def check_topic(topic: str) -> str:
    """Return `topic` if it may be published.

    Raises:
        ValueError: it is not `ev.` and one to three words of a-z, 0-9 and '-'.
    """
    if not _TOPIC.fullmatch(topic):
        raise ValueError(f"topic {topic!r}: expected ev.KIND.NAME with words of 1..32 of a-z, 0-9 and '-'")
    return topic


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a feed: its id, this run of its publisher, and the numbers of its messages.

    `run_first` is the first number of this run and `run_seconds` its age; `first` is the oldest message still kept
    (last + 1 when there is none).
    """

    feed: str
    run: str
    run_first: int
    run_seconds: float
    first: int
    last: int


class Heartbeat(FeedPosition, frozen=True, kw_only=True):
    """The publisher's message every `heartbeat_seconds`; `durable` is false while it cannot write its journal.

    `status` is the publishing program's own status; it is included every two seconds at most.
    """

    time: str
    heartbeat_seconds: float
    durable: bool
    status: dict[str, Any] | UnsetType = UNSET


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A client's request to the history socket; `request` is returned in the reply, to recognise late replies."""

    op: Literal["since", "info", "schema"]
    sequence: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Meta(ge=1)] = PAGE_MESSAGES
    type: str = ""
    request: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class Reply(Heartbeat, frozen=True, kw_only=True):
    """The first frame of an answer.

    `count` messages of three frames each follow it (`since`), or one frame (`schema`). If `error` is set, nothing
    follows: it says why the request could not be answered.
    """

    op: str
    request: int
    count: int
    site: str
    protocol: int = PROTOCOL
    error: str | UnsetType = UNSET


encode = msgspec.json.Encoder().encode
decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode
decode_request = msgspec.json.Decoder(Request).decode
decode_reply = msgspec.json.Decoder(Reply).decode


def unpack(frames: Sequence[bytes]) -> WireMessage:
    """Return the message in three frames.

    Raises:
        ValueError: they are not topic, eight bytes and a body.
    """
    topic, number, body = frames
    if len(number) != 8:
        raise ValueError(f"a number of {len(number)} bytes instead of 8")
    return WireMessage(topic.decode("ascii"), int.from_bytes(number, "big"), body)


def unpack_all(frames: Sequence[bytes]) -> list[WireMessage]:
    """Return every message of a reply's frames.

    Raises:
        ValueError: as `unpack`.
    """
    return [unpack(frames[at : at + 3]) for at in range(0, len(frames), 3)]


@dataclass(frozen=True, slots=True)
class FeedCapabilities:
    """The abilities of the installed ZeroMQ.

    Attributes:
        zeromq: version of libzmq.
        pyzmq: version of the Python binding.
        curve: whether it can encrypt with CURVE keys.
    """

    zeromq: str
    pyzmq: str
    curve: bool


def feed_capabilities() -> FeedCapabilities:
    """Return what this Python's ZeroMQ can do."""
    import zmq  # noqa: PLC0415 - the gateway's process does without it

    return FeedCapabilities(zmq.zmq_version(), zmq.pyzmq_version(), bool(zmq.has("curve")))
