"""CURVE keys of the server and the clients, and the list of clients that may connect.

A folder holds `server.toml` (0600: the pair), `clients/NAME.toml` (public keys of those who may connect) and
`revoked/NAME.toml`. A client's secret is written only to the file that the client receives, together with the
server's public key. Keys are in Z85 text, as everywhere in ZeroMQ.
"""

import errno
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import zmq

from stream.errors import FeedError
from stream.feed.atomic_file import write_atomically

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_KEY = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """A publisher's key pair."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """A subscriber's key pair, and the public key of the publisher that it expects."""

    public: str
    secret: str = field(repr=False)
    server: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """One client that was given access; `revoked` is when its access was revoked, or None."""

    name: str
    public: str
    created: str
    revoked: str | None = None


def make_server_keys(folder: Path) -> ServerKeys:
    """Create the publisher's key pair in `folder`.

    Returns:
        the new keys.

    Raises:
        FeedError: there is one already, or the folder cannot be written.
    """
    file = folder / "server.toml"
    if file.exists():
        raise FeedError(f"{file}: a server key is there already; every client knows it. Delete the file to start anew")
    keys = ServerKeys(*_pair())
    _write(
        file, f'# Key pair of a lightning-detector feed. Secret.\npublic = "{keys.public}"\nsecret = "{keys.secret}"\n'
    )
    _make_folder(folder / "clients")
    return keys


def read_server_keys(folder: Path) -> ServerKeys:
    """Return the publisher's key pair in `folder`.

    Raises:
        FeedError: it is missing, readable by others or not a key.
    """
    file = folder / "server.toml"
    if not file.exists():
        raise FeedError(f"{folder}: no server key here; make one with: lightning-detector keys server --keys {folder}")
    table = _read_secret(file)
    return ServerKeys(_key(file, table, "public"), _key(file, table, "secret"))


def make_client_keys(folder: Path, name: str, file: Path) -> ClientKeys:
    """Create a key pair for client `name`, allow it in `folder`, and write the client's key file to `file` (0600).

    Returns:
        the new keys.

    Raises:
        FeedError: the name is taken or not a name, or a file cannot be written.
    """
    server = read_server_keys(folder)
    if file.exists():
        raise FeedError(f"{file}: exists already; name another file for the client's key")
    keys = new_client_keys(server.public)
    _write(
        file,
        f'# Key of client "{name}" for a lightning-detector feed. Secret: hand it over safely, then delete this copy.\n'
        f'public = "{keys.public}"\nsecret = "{keys.secret}"\nserver = "{keys.server}"\n',
    )
    try:
        allow_client(folder, name, keys.public)
    except FeedError:
        file.unlink()  # the key gives no access
        raise
    return keys


def new_client_keys(server: str = "") -> ClientKeys:
    """Return a new key pair of a client, which stays in memory, for the publisher with this public key."""
    return ClientKeys(*_pair(), server=server)


def read_client_keys(file: Path) -> ClientKeys:
    """Return the key in a client's key file.

    Raises:
        FeedError: the file is missing, readable by others or not a client's key.
    """
    table = _read_secret(file)
    return ClientKeys(_key(file, table, "public"), _key(file, table, "secret"), server=_key(file, table, "server"))


def allow_client(folder: Path, name: str, public: str) -> None:
    """Let the client with this public key connect; a running publisher sees it within a heartbeat.

    Raises:
        FeedError: the name is taken or not a name, the key is not one, or the folder cannot be written.
    """
    _check_name(name)
    if not _KEY.fullmatch(public):
        raise FeedError(f"client {name}: {public[:60]!r} is not a public key (40 characters of Z85)")
    for client in list_clients(folder):
        if client.name == name and client.revoked is None:
            raise FeedError(f"client {name}: has access already; revoke it first, or choose another name")
        if client.public == public:
            state = "was revoked" if client.revoked else "has access"
            raise FeedError(f"client {name}: this key belongs to client {client.name}, which {state}; make a new key")
    _write(folder / "clients" / f"{name}.toml", f'public = "{public}"\ncreated = "{_now()}"\n', mode=0o644)


def revoke_client(folder: Path, name: str) -> None:
    """Revoke the access of client `name`; a running publisher drops it within a heartbeat.

    Raises:
        FeedError: there is no such client, or the folder cannot be written.
    """
    _check_name(name)
    file = folder / "clients" / f"{name}.toml"
    if not file.exists():
        known = ", ".join(client.name for client in list_clients(folder) if not client.revoked) or "none"
        raise FeedError(f"client {name}: not in {folder / 'clients'}; clients with access: {known}")
    moved = folder / "revoked" / f"{name}-{datetime.now(UTC):%Y%m%dt%H%M%S%f}.toml"
    _write(moved, f'{file.read_text(encoding="utf-8")}name = "{name}"\nrevoked = "{_now()}"\n', mode=0o644)
    file.unlink()


def list_clients(folder: Path) -> list[Client]:
    """Return every client that has or had access, by name.

    Raises:
        FeedError: there is no such folder, or a file in it is not a client's.
    """
    if not folder.is_dir():
        raise FeedError(f"{folder}: no such folder; make one with: lightning-detector keys server --keys {folder}")
    found = []
    for file in sorted((folder / "clients").glob("*.toml")) + sorted((folder / "revoked").glob("*.toml")):
        table = _read(file)
        name = str(table.get("name", file.stem))
        revoked = str(table["revoked"]) if "revoked" in table else None
        found.append(Client(name, _key(file, table, "public"), str(table.get("created", "")), revoked))
    return sorted(found, key=lambda client: (client.name, client.revoked or ""))


class AllowList:
    """The clients that may connect; `refresh` reads the folder again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        self.refresh()

    @property
    def names(self) -> dict[str, str]:
        """The clients that may connect, by public key."""
        return self._names

    def refresh(self) -> set[str]:
        """Read the folder again.

        Returns:
            the names of the clients that lost access.

        Raises:
            FeedError: a file in the folder is not a client's.
        """
        allowed = {client.public: client.name for client in list_clients(self._folder) if client.revoked is None}
        gone = {name for public, name in self._names.items() if public not in allowed}
        self._names = allowed
        return gone


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise FeedError(f"client name {name!r}: expected 1..32 of a-z, 0-9 and '-'")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FeedError(f"{folder}: cannot make the folder: {error.strerror}") from error


def _write(file: Path, text: str, mode: int = 0o600) -> None:
    """Create `file` atomically: with half a key in its folder no publisher would start."""
    _make_folder(file.parent)
    try:
        write_atomically(file, text.encode(), mode=mode, overwrite=False)
    except OSError as error:
        advice = "; free disk space" if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} else ""
        raise FeedError(f"{file}: cannot write the key: {error.strerror}{advice}") from error


def _read_secret(file: Path) -> dict[str, object]:
    table = _read(file)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077 and os.name != "nt":  # Windows has no such permission bits
        raise FeedError(f"{file}: this secret key can be read by others (mode {mode:04o}); chmod 600 {file}")
    return table


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FeedError(f"{file}: cannot read the key: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FeedError(f"{file}: not a key file: {error}") from error


def _key(file: Path, table: dict[str, object], which: str) -> str:
    value = table.get(which)
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise FeedError(f"{file}: no {which} key of 40 Z85 characters in it; make the keys again")
    return value
