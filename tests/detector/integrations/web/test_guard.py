"""Who may ask the page: Host, Origin, token, paths. Asked over real HTTP, of a real process."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.cli.main import main
from helpers.feed import free_endpoint
from helpers.live_page import PageServer, serving

TOKEN = "a-token-of-the-test"
SHOWN = (
    {},
    {"authorization": "Bearer wrong"},
    {"cookie": "lightning_page=wrong"},
    {"cookie": f"lightning_page={TOKEN}"},
)
RUBBISH = (
    b"\x00" * 100,
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 100_000,
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("run")
    out = base / "out"
    (out / "stills").mkdir(parents=True)
    (out / "stills" / "a.jpg").write_bytes(b"image")
    (out / "flashes.jsonl").write_text("secret")
    (out / "stills" / ".hidden.jpg").write_bytes(b"secret")
    (base / "outside.jpg").write_bytes(b"secret")
    (out / "stills" / "link.jpg").symlink_to(base / "outside.jpg")
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[PageServer]:
    with serving(free_endpoint(), out=folder) as running:
        yield running


@pytest.fixture(scope="module")
def locked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with serving(free_endpoint(), out=folder, token=TOKEN) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [
        "/media/test/../outside.jpg",
        "/media/test/%2e%2e/outside.jpg",
        "/media/test/stills/..%2f..%2foutside.jpg",
        "/media/test/stills%2f..%2f..%2foutside.jpg",
        "/media/test//etc/passwd",
        "/media/test/%2fetc%2fpasswd.jpg",
        "/media/test/stills/..\\..\\outside.jpg",
        "/media/test/stills/link.jpg",
        "/media/test/stills/.hidden.jpg",
        "/media/test/flashes.jsonl",
        "/media/test/stills/a.jpg%00.png",
        "/media/../out/stills/../flashes.jsonl",
        "/assets/../app.py",
        "/assets/..%2fapp.py",
        "/api/cameras/..%2f..%2foutside/snapshot.jpg",
    ],
)
def test_no_path_leads_out_of_the_folder_or_to_other_files(page: PageServer, path: str) -> None:
    answer = page.ask(path)
    assert answer.code in (400, 404)
    assert b"secret" not in answer.body


def test_an_image_of_the_folder_is_handed_out_with_ranges(page: PageServer) -> None:
    assert page.ask("/media/test/stills/a.jpg").body == b"image"
    part = page.ask("/media/test/stills/a.jpg", range="bytes=1-2")
    assert (part.code, part.body, part.headers["content-range"]) == (206, b"ma", "bytes 1-2/5")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1@evil", "", "["]
)
def test_a_name_that_another_site_made_point_here_is_refused(page: PageServer, host: str) -> None:
    assert page.ask("/api/flashes", host=host).code in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1:8046", "localhost:1", "[::1]:80", "192.0.2.7"])
def test_addresses_and_localhost_may_always_be_asked_for(page: PageServer, host: str) -> None:
    assert page.ask("/api/schema", host=host).code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_scripts_and_images_of_other_sites_are_refused(page: PageServer, headers: dict[str, str]) -> None:
    assert page.ask("/api/flashes", **headers).code == 403
    assert page.ask("/media/test/stills/a.jpg", **headers).code == 403


def test_the_pages_own_scripts_are_answered(page: PageServer) -> None:
    assert page.ask("/api/flashes", origin=page.url, sec_fetch_site="same-origin").code == 200
    assert page.ask("/", sec_fetch_site="cross-site").code == 200  # a link from elsewhere


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_nothing_can_be_changed(page: PageServer, method: str) -> None:
    assert page.ask("/api/flashes", method).code in (400, 405)


def test_no_answer_lets_scripts_of_others_in(page: PageServer) -> None:
    for path in ("/", "/mask", "/api/flashes", "/assets/page.js"):
        headers = page.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_without_the_token_nothing_is_told(locked: PageServer) -> None:
    for path in (
        "/",
        "/health",
        "/metrics",
        "/api/flashes",
        "/api/events",
        "/media/test/stills/a.jpg",
        "/assets/page.js",
    ):
        for shown in (
            {},
            {"authorization": "Bearer wrong"},
            {"cookie": "lightning_page=wrong"},
            {"cookie": f"lightning_page={TOKEN}"},
        ):
            assert locked.ask(path, **shown).code == 401
    assert locked.ask("/?token=wrong").code == 401


def test_the_token_opens_by_header_and_once_by_address(locked: PageServer) -> None:
    assert locked.ask("/metrics", authorization=f"Bearer {TOKEN}").code == 200
    first = locked.ask(f"/?token={TOKEN}")
    assert (first.code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert locked.ask("/", cookie=cookie.partition(";")[0]).code == 200


def test_other_machines_are_answered_only_with_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["page", free_endpoint(), "--listen", "0.0.0.0:0"]) == 2
    assert "--insecure" in capsys.readouterr().err


def test_bytes_that_are_no_request_are_refused_and_the_page_goes_on(page: PageServer) -> None:
    for rubbish in (
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", page.port), 5) as raw:
            raw.sendall(rubbish)
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(5)
            try:
                answer = raw.recv(100)
            except ConnectionResetError:
                answer = b""
            assert not answer or answer.split(b" ")[1][:1] in (b"4", b"5")
    assert page.ask("/api/schema").code == 200
