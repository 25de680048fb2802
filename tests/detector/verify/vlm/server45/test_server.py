"""The HTTP server bounds what clients take of it: time, connections and memory."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("starlette", reason="the extra web is not installed")

from detector.verify.vlm.server45 import server as server_module  # noqa: E402 - needs torch and starlette
from detector.verify.vlm.server45.request_batcher import RequestBatcher  # noqa: E402
from detector.verify.vlm.server45.serve_config import ServeConfig  # noqa: E402
from detector.verify.vlm.server45.server import ModelServer  # noqa: E402
from helpers.asking45 import ask, image, request  # noqa: E402
from helpers.standin45 import MODEL, REVISION  # noqa: E402

pytestmark = pytest.mark.model

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
ANSWER = torch.log(torch.tensor([0.1, 0.7, 0.2]))
MODEL_STANDIN: Any = SimpleNamespace(
    device_name="CPU", precision="fp32", answer_ids=(1, 2), token=lambda number: ("!", "Yes", "No")[number]
)


@contextmanager
def running(score: Callable[[Sequence[Any]], list[Any]], **changes: Any) -> Iterator[ModelServer]:
    """A server on a free port whose model is `score`."""
    values: dict[str, Any] = {
        "model": MODEL, "revision": REVISION, "folder": "", "attention": "sdpa", "precision": "fp32", "device": "cpu",
        "threads": 1, "pack_frames": 1, "host": "127.0.0.1", "port": 0, "batch_size": 1, "batch_wait_ms": 0.0,
        "waiting_limit": 1, "request_limit_mb": 16.0, "pictures_limit": 8, "answer_limit_seconds": 20.0,
    }  # fmt: skip
    config = ServeConfig(**(values | changes))
    batcher = RequestBatcher(score, batch_size=1, batch_wait_seconds=0.0, waiting_limit=config.waiting_limit)
    with ModelServer(config, MODEL_STANDIN, batcher) as server, closing(batcher):
        yield server


@pytest.fixture
def at_once() -> Iterator[ModelServer]:
    with running(lambda clips: [ANSWER] * len(clips)) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_HEAD_SECONDS", "_BODY_SECONDS", "_IDLE_SECONDS"):
        monkeypatch.setattr(server_module, name, 0.5)


def connected(server: ModelServer) -> socket.socket:
    host, _, port = server.url.split("/")[2].partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def all_of(client: socket.socket) -> bytes:
    """What the server says until it closes the connection."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65_536):
            said += part
    return said


def dribble(client: socket.socket) -> float:
    """Send a byte now and then until the server ends it; seconds until then."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() < began + 10:
            client.sendall(b"x")
            time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("begun", [b"", HEAD + b"X-Slow: "])
def test_a_client_that_never_finishes_the_head_of_its_request_is_hung_up_on(begun: bytes) -> None:
    with running(lambda clips: [ANSWER] * len(clips)) as server, connected(server) as client:
        client.sendall(begun)
        assert dribble(client) < 5 if begun else all_of(client) == b""


@pytest.mark.usefixtures("impatient")
def test_a_body_that_does_not_come_is_told_so_and_what_comes_after_a_refusal_has_an_end() -> None:
    with running(lambda clips: [ANSWER] * len(clips)) as server:
        with connected(server) as client:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
            said = all_of(client)
            assert b" 408 " in said
            assert b"its 1000 bytes did not come" in said
        with connected(server) as client:
            client.sendall(HEAD + b"Content-Length: 99000000\r\n\r\n")
            assert dribble(client) < 5


def test_a_kept_connection_serves_the_next_question(at_once: ModelServer) -> None:
    with httpx.Client() as client:
        for _ in range(3):
            assert client.post(f"{at_once.url}/chat/completions", json=request(image(1))).status_code == 200
            assert client.post(f"{at_once.url}/chat/completions", json={}).status_code == 400


def test_more_questions_than_there_are_places_are_refused_while_health_still_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "_SPARE_PLACES", 0)
    busy, may_go = Event(), Event()

    def held(clips: Sequence[Any]) -> list[Any]:
        busy.set()
        assert may_go.wait(10)
        return [ANSWER] * len(clips)

    with running(held) as server, ThreadPoolExecutor(2) as pool:
        try:
            first = pool.submit(ask, server.url, request(image(1)))
            assert busy.wait(10)
            with connected(server) as client:  # the second place
                client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
                refused = ask(server.url, request(image(1)))
                while refused.status_code != 503:  # until its head was read
                    refused = ask(server.url, request(image(1)))
                assert (refused.headers["Retry-After"], "too many connections" in refused.text) == ("1", True)
                assert httpx.get(server.url.replace("/v1", "/health")).json()["status"] == "ok"
        finally:
            may_go.set()
        assert first.result(10).status_code == 200


def test_one_connection_too_many_is_hung_up_on_and_the_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SPARE_CONNECTIONS", 1)
    with running(lambda clips: [ANSWER] * len(clips)) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(server)) for _ in range(11)]  # 1 scored, 1 waits, 8 and 1 to spare
        assert all_of(stack.enter_context(connected(server))) == b""
        silent.pop().close()
        silent.pop().close()
        answered = 0
        while not answered:
            with contextlib.suppress(httpx.TransportError):  # until it sees that two have left
                answered = ask(server.url, request(image(1))).status_code
        assert answered == 200


def test_what_nobody_foresaw_is_an_error_in_json_and_one_line_on_stderr(
    at_once: ModelServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(server_module, "parse", broken)
    for _ in range(2):
        reply = ask(at_once.url, request(image(1)))
        assert (reply.status_code, reply.json()["error"]["type"]) == (500, "server_error")
    assert capfd.readouterr().err == "serve-45: RuntimeError: not foreseen\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000,
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=["TLS", "a long head", "a negative length", "two lengths", "deep JSON", "another protocol"],
)
def test_what_is_no_request_of_ours_disturbs_nobody(
    at_once: ModelServer, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with connected(at_once) as client:
        client.sendall(sent + b"\r\n\r\n")
        assert client.recv(65_536)[9:12] in {b"400", b"411", b"200"}
    assert ask(at_once.url, request(image(1))).status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_stop_waits_for_no_client_that_says_nothing() -> None:
    with running(lambda clips: [ANSWER] * len(clips)) as server, connected(server) as silent:
        with connected(server) as client:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
            began = time.monotonic()
            server.__exit__(None, None, None)
            assert time.monotonic() - began < 10
        assert all_of(silent) == b""
        assert not server.alive
