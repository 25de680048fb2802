"""Ten thousand requests that nobody should send: refused, without a fault, and the page goes on."""

import random
import socket
from collections import Counter
from pathlib import Path

import psutil
import pytest

from helpers.feed import free_endpoint
from helpers.live_page import serving

SEED, REQUESTS = 7, 10_000
PATHS = (
    "/",
    "/mask",
    "/health",
    "/metrics",
    "/api/flashes",
    "/api/cameras",
    "/api/state",
    "/api/schema",
    "/api/flashes/x/curve",
    "/api/cameras/y/snapshot.jpg",
    "/media/s/stills/a.jpg",
    "/assets/page.js",
)
JUNK = (
    "%00",
    "%ff",
    "..",
    "%2e%2e",
    "%2f",
    "\\",
    "//",
    "?since=",
    "?limit=",
    "&limit=9e9",
    "?state[]=a",
    ";",
    "%",
    "%zz",
    "#",
    " ",
    "\t",
    "\x7f",
    "\xe9",
    "A" * 3000,
    "{",
    "<script>",
    "?since=%00",
    "?since=2026-99-99",
    "?since=1e400",
    "?site=..%2f..",
    "/../../../etc/passwd",
    "*",
    "http://evil/",
    "?token=%ff",
    "\r\nX: y",
)
HEADERS = (
    "Host: 127.0.0.1",
    "Host: evil",
    "Host:",
    "Host: [::1",
    "Range: bytes=5-1",
    "Range: bytes=-",
    "Range: bytes=0-0,2-2,4-4",
    "Range: bytes=99999999999-",
    "Cookie: lightning_page=\xff;;=",
    "Cookie: " + "a=b;" * 500,
    "Origin: ://",
    "Origin: http://[",
    "Content-Length: -1",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Authorization: Bearer \xff",
    'If-None-Match: "',
    "Sec-Fetch-Site: x",
    "Accept: \x00",
    'If-Range: "a"',
    "Upgrade: websocket",
    "Connection: Upgrade",
    "X" * 2000 + ": y",
)
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "GE T", "get", "PRI", "CONNECT", "\x00", "TRACE", "G" * 5000)
VERSIONS = ("HTTP/1.1",) * 6 + ("HTTP/1.0", "HTTP/2", "HTTP/9.9", "")


def malformed(dice: random.Random) -> bytes:
    """A request with something wrong in it, mostly."""
    path = dice.choice(PATHS)
    for _ in range(dice.randint(0, 3)):
        at = dice.randint(0, len(path))
        path = path[:at] + dice.choice(JUNK) + path[at:]
    method = dice.choice(METHODS) if dice.random() < 0.3 else "GET"
    headers = ["Host: 127.0.0.1"] if dice.random() < 0.6 else []
    headers += [dice.choice(HEADERS) for _ in range(dice.randint(0, 3))]
    lines = [f"{method} {path} {dice.choice(VERSIONS)}", *headers, "Connection: close", "", ""]
    raw = "\r\n".join(lines).encode("latin-1")
    if dice.random() < 0.05:
        raw = raw[: dice.randint(1, len(raw))]
    if dice.random() < 0.05:
        raw = bytes(byte ^ (dice.randint(1, 255) if dice.random() < 0.02 else 0) for byte in raw)
    return raw


def answer_to(port: int, raw: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.settimeout(20)
        got = b""
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                got += part
                if raw.startswith(b"GET /api/events"):
                    break
        except (ConnectionError, BrokenPipeError):
            pass
        return got


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_malformed_requests_are_refused_without_a_fault(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "stills").mkdir(parents=True)
    (out / "stills" / "a.jpg").write_bytes(b"image" * 200)
    (tmp_path / "secret.jpg").write_bytes(b"SECRET")
    dice, codes = random.Random(SEED), Counter[str]()
    with serving(free_endpoint(), out=out, log=tmp_path / "log") as page:
        process = psutil.Process(page.process.pid)
        before = process.memory_info().rss
        for _ in range(REQUESTS):
            raw = malformed(dice)
            got = answer_to(page.port, raw)
            code = got.split(b" ")[1].decode() if got.startswith(b"HTTP") else "closed"
            codes[code] += 1
            assert b"SECRET" not in got, raw
            assert b"root:" not in got, raw
            assert code[0] != "5" or code == "503", (code, raw)  # /health says 503: no feed is heard
        assert page.answers()
        assert process.memory_info().rss - before < 20e6
    log = (tmp_path / "log").read_bytes()
    assert b"Traceback" not in log
    assert len(log) < 100_000
    assert codes["400"] > 1000
