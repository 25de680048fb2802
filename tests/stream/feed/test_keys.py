"""CURVE: who has a key gets in, everyone else gets nothing, is told, counted and logged; on PUB and on ROUTER."""

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from helpers.feed import free_endpoint, options_for, publish, take
from helpers.waiting import wait_until
from stream import (
    FeedError,
    Publisher,
    Subscriber,
    SubscriberNotice,
    SubscriberOptions,
    allow_client,
    list_clients,
    make_client_keys,
    make_server_keys,
    revoke_client,
)
from stream.feed.keys import ClientKeys, read_client_keys, read_server_keys
from stream.feed.protocol import parse_endpoint


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with a server's key and clients alice (allowed) and mallory (revoked)."""
    folder = tmp_path / "keys"
    make_server_keys(folder)
    for name in ("alice", "mallory"):
        make_client_keys(folder, name, tmp_path / f"{name}.key")
    revoke_client(folder, "mallory")
    return folder


@pytest.fixture
def feed(keys: Path) -> Iterator[Publisher]:
    with Publisher(options_for(free_endpoint(), keys=keys), {}) as feed:
        publish(feed, 2)
        yield feed


def endpoint_of(feed: Publisher) -> str:
    return str(feed._options.endpoint)


def key_of(kind: str, tmp_path: Path) -> ClientKeys | None:
    """The key of each kind of client that must not get in."""
    if kind == "no key":
        return None
    if kind == "revoked key":
        return read_client_keys(tmp_path / "mallory.key")
    alice = read_client_keys(tmp_path / "alice.key")
    stranger = [part.decode() for part in zmq.curve_keypair()]
    if kind == "unknown key":
        return ClientKeys(stranger[0], stranger[1], server=alice.server)
    return ClientKeys(alice.public, alice.secret, server=stranger[0])  # another server's key


REFUSED = ["no key", "unknown key", "revoked key", "another server's key"]


def knock(kind: int, address: str, keys: ClientKeys | None, wait_ms: int) -> list[bytes] | None:
    """What a plain socket with these keys gets from `address`."""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        if keys is not None:
            socket.curve_serverkey = keys.server.encode()
            socket.curve_publickey = keys.public.encode()
            socket.curve_secretkey = keys.secret.encode()
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(address)
        if kind == zmq.DEALER:
            socket.send(b'{"op":"since"}')
        return socket.recv_multipart() if socket.poll(wait_ms) else None


def test_an_allowed_key_gets_messages_and_history(feed: Publisher, tmp_path: Path) -> None:
    address = parse_endpoint(endpoint_of(feed))
    alice = read_client_keys(tmp_path / "alice.key")
    assert knock(zmq.SUB, address.events, alice, 5000)
    assert knock(zmq.DEALER, address.history, alice, 5000)
    with Subscriber(endpoint_of(feed), options=SubscriberOptions(since=0, keys=[tmp_path / "alice.key"])) as events:
        assert [one.sequence for one in take(events, 2)] == [1, 2]


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("socket", ["PUB", "ROUTER"])
def test_whoever_lacks_an_allowed_key_receives_nothing_is_counted_and_logged(
    socket: str, kind: str, feed: Publisher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = parse_endpoint(endpoint_of(feed))
    # Heartbeats come every 100 ms and an answer at once: whoever is let in has something long before this.
    if socket == "PUB":
        assert knock(zmq.SUB, address.events, key_of(kind, tmp_path), 700) is None
    else:
        assert knock(zmq.DEALER, address.history, key_of(kind, tmp_path), 700) is None
    wait_until(lambda: sum(feed.counters.connections_refused.values()) >= 1)
    assert f"{endpoint_of(feed)}: refused a client" in caplog.text


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_subscriber_is_told_why_instead_of_waiting_for_ever(
    kind: str, feed: Publisher, tmp_path: Path
) -> None:
    found = key_of(kind, tmp_path)
    files = []
    if found is not None:
        files = [tmp_path / "tried.key"]
        files[0].touch(mode=0o600)
        files[0].write_text(f'public="{found.public}"\nsecret="{found.secret}"\nserver="{found.server}"\n')
    subscriber = Subscriber(endpoint_of(feed), options=SubscriberOptions(keys=files))
    with pytest.raises(FeedError, match=f"{endpoint_of(feed)}: .*(key|handshake)"):
        subscriber.receive(10)


def test_a_subscriber_with_a_key_is_told_when_the_publisher_uses_none(keys: Path, tmp_path: Path) -> None:
    endpoint = free_endpoint()
    with Publisher(options_for(endpoint), {}), pytest.raises(FeedError, match="--key"):
        Subscriber(endpoint, options=SubscriberOptions(keys=[tmp_path / "alice.key"])).receive(10)


def test_revoking_drops_a_connected_client_and_the_others_miss_nothing(
    feed: Publisher, keys: Path, tmp_path: Path
) -> None:
    make_client_keys(keys, "bob", tmp_path / "bob.key")
    address, bob_keys = parse_endpoint(endpoint_of(feed)), read_client_keys(tmp_path / "bob.key")
    wait_until(lambda: knock(zmq.SUB, address.events, bob_keys, 300))
    notices: list[SubscriberNotice] = []
    options = {
        name: SubscriberOptions(since=0, keys=[tmp_path / f"{name}.key"], on_notice=notices.append)
        for name in ("alice", "bob")
    }
    with Subscriber(endpoint_of(feed), options=options["bob"]) as bob:
        take(bob, 2)
        with Subscriber(endpoint_of(feed), options=options["alice"]) as alice:
            take(alice, 2)
            revoke_client(keys, "bob")
            wait_until(lambda: bob.receive(0.05) or "refused" in [notice.kind for notice in notices])
            publish(feed, 20)
            assert [one.sequence for one in take(alice, 20)] == list(range(3, 23))
            assert bob.receive(1.0) is None


def test_a_client_made_while_the_feed_runs_is_let_in(feed: Publisher, keys: Path, tmp_path: Path) -> None:
    make_client_keys(keys, "late", tmp_path / "late.key")
    late = read_client_keys(tmp_path / "late.key")
    address = parse_endpoint(endpoint_of(feed))
    wait_until(lambda: knock(zmq.SUB, address.events, late, 300))


def test_keys_that_cannot_be_read_any_more_are_said_once_and_the_feed_goes_on(
    feed: Publisher, keys: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = SubscriberOptions(keys=(tmp_path / "alice.key",), since=0)
    (keys / "clients" / "torn.toml").write_text("")
    wait_until(lambda: "torn.toml" in caplog.text)
    with Subscriber(endpoint_of(feed), options=options) as alice:
        assert len(take(alice, 2)) == 2
        assert alice.receive(1.0) is None  # ten heartbeats
    assert caplog.text.count("torn.toml") == 1


def test_keys_are_files_that_only_their_owner_can_read(keys: Path, tmp_path: Path) -> None:
    for file in (keys / "server.toml", tmp_path / "alice.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = read_client_keys(tmp_path / "alice.key").secret
    assert not [file for file in keys.rglob("*.toml") if secret in file.read_text()], (
        "the server keeps no client secret"
    )
    for shown in (repr(read_server_keys(keys)), repr(read_client_keys(tmp_path / "alice.key"))):
        assert "secret" not in shown


def test_a_secret_that_others_can_read_is_refused(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "alice.key").chmod(0o644)
    with pytest.raises(FeedError, match=r"mode 0644.*chmod 600"):
        read_client_keys(tmp_path / "alice.key")


def test_clients_are_listed_with_what_became_of_them(keys: Path) -> None:
    public = zmq.curve_keypair()[0].decode()
    allow_client(keys, "carol", public)
    listed = {client.name: client for client in list_clients(keys)}
    assert set(listed) == {"alice", "carol", "mallory"}
    assert listed["carol"].public == public
    assert listed["mallory"].revoked
    assert listed["alice"].revoked is None


def test_a_name_can_be_given_again_after_it_was_revoked_but_its_key_cannot(keys: Path, tmp_path: Path) -> None:
    old = next(client.public for client in list_clients(keys) if client.name == "mallory")
    with pytest.raises(FeedError, match="was revoked"):
        allow_client(keys, "other", old)
    make_client_keys(keys, "mallory", tmp_path / "new.key")
    assert {client.revoked is None for client in list_clients(keys) if client.name == "mallory"} == {True, False}


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (make_server_keys, "a server key is there already"),
    (lambda keys: read_server_keys(keys / "nowhere"), "lightning-detector keys server"),
    (lambda keys: allow_client(keys, "alice", zmq.curve_keypair()[0].decode()), "has access already"),
    (lambda keys: allow_client(keys, "dave", "too short"), "not a public key"),
    (lambda keys: allow_client(keys, "../etc", "x" * 40), "client name"),
    (lambda keys: revoke_client(keys, "nobody"), "clients with access: alice"),
    (lambda keys: make_client_keys(keys, "dave", keys / "server.toml"), "exists already"),
    (lambda keys: read_client_keys(keys / "missing.key"), "cannot read the key"),
    (lambda keys: read_client_keys(keys / "server.toml"), "no server key"),
]


@pytest.mark.parametrize(("do", "said"), WRONG)
def test_each_mistake_with_keys_is_named(do: Callable[[Path], object], said: str, keys: Path) -> None:
    with pytest.raises(FeedError, match=said):
        do(keys)


def test_keys_for_some_endpoints_only_are_refused(tmp_path: Path, keys: Path) -> None:
    files = [tmp_path / "alice.key"] * 2
    with pytest.raises(FeedError, match="2 keys for 3 endpoints"):
        Subscriber(*["tcp://127.0.0.1:5556"] * 3, options=SubscriberOptions(keys=files)).receive(0)


ON_A_FULL_DISK = """
import resource
from detector.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
raise SystemExit(main())
"""


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["server", "--keys", "new"], "new/server.toml"),
        (["client", "bob", "--keys", "keys"], "bob.key"),
        (["allow", "bob", "0" * 40, "--keys", "keys"], "keys/clients/bob.toml"),
        (["revoke", "alice", "--keys", "keys"], "keys/revoked/alice-"),
    ],
)
def test_on_a_full_disk_no_half_key_is_left_and_nobody_gains_or_loses_access(
    words: list[str], named: str, keys: Path, tmp_path: Path
) -> None:
    before = contents(tmp_path)
    program = [sys.executable, "-c", ON_A_FULL_DISK, "keys", *words]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"lightning-detector: {named}")
    assert "cannot write the key" in done.stderr
    assert contents(tmp_path) == before
    with Publisher(options_for(free_endpoint(), keys=keys), {}):
        pass  # who has a key folder can still publish
