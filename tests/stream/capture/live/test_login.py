"""Cameras that ask for a log-in: digests that FFmpeg knows and those that it does not, and true words about each."""

import http.server
import itertools
import threading
from pathlib import Path

import pytest

from helpers.media import Clip, counter, make_clip
from helpers.plain_camera import Behaviour, PlainCamera
from helpers.waiting import wait_until
from stream import Camera, CameraStatus, CaptureOptions
from stream.capture.live.digest import Challenge, read_challenges


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short recording with its parameter sets inside."""
    return make_clip(tmp_path_factory.mktemp("login") / "cam.ts", Clip(seconds=2, size=(320, 180)))


def watched(camera: PlainCamera, options: CaptureOptions) -> tuple[list[int], list[CameraStatus]]:
    """The counters of the first frames, and all states until then or until it is refused."""
    states: list[CameraStatus] = []
    shown: list[int] = []

    def note(status: CameraStatus) -> None:
        states.append(status)
        if status.state == "down":
            roof.stop()

    roof = Camera("roof", camera.url, options, on_state=note)
    with roof:
        for frame in roof:
            shown.append(counter(frame.levels(frame.luma)))
            if len(shown) == 30:
                break
    return shown, states


@pytest.mark.parametrize(
    ("offers", "accepts"),
    [
        (("MD5",), "MD5"),
        (("SHA-256",), "SHA-256"),
        (("SHA-256", "MD5"), "SHA-256"),
        (("MD5", "SHA-256"), "SHA-256"),
        (("MD5", "SHA-256"), "MD5"),
        (("SHA-256", "MD5"), "MD5"),
    ],
)
@pytest.mark.parametrize("qop", [False, True])
def test_a_camera_that_asks_for_a_digest_is_live(
    offers: tuple[str, ...], accepts: str, qop: bool, clip: Path, capture_options: CaptureOptions
) -> None:
    asking = Behaviour(password="p@ss word", offers=offers, accepts=accepts, qop=qop)
    with PlainCamera(clip, asking, user="viewer:p%40ss%20word@").running() as camera:
        shown, states = watched(camera, capture_options)
    assert len(shown) == 30
    assert [(after - before) % 50 for before, after in itertools.pairwise(shown)] == [1] * 29
    assert [status.state for status in states] == ["live"]


@pytest.mark.parametrize("offers", [("MD5",), ("SHA-256",), ("MD5", "SHA-256")])
def test_a_wrong_password_is_called_wrong(offers: tuple[str, ...], clip: Path, capture_options: CaptureOptions) -> None:
    asking = Behaviour(password="right", offers=offers, accepts=offers[-1])
    with PlainCamera(clip, asking, user="viewer:wrong@").running() as camera:
        shown, states = watched(camera, capture_options)
    assert not shown
    assert states[-1].refused
    assert "the user name or password is wrong" in str(states[-1].last_error)
    assert "wrong@" not in str(states[-1].last_error)


def test_a_log_in_that_nobody_knows_is_named_and_the_password_not_blamed(
    clip: Path, capture_options: CaptureOptions
) -> None:
    asking = Behaviour(password="right", offers=("TIGER-192",))
    with PlainCamera(clip, asking, user="viewer:right@").running() as camera:
        _, states = watched(camera, capture_options)
    said = str(states[-1].last_error)
    assert "TIGER-192 digest" in said
    assert "set its RTSP authentication to digest" in said
    assert "password is wrong" not in said


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [("SHA-256", "the camera asks for SHA-256 digest"), ("MD5", "the user name or password is wrong")],
)
def test_over_http_a_digest_that_is_not_known_there_is_named_and_a_wrong_password_called_wrong(
    algorithm: str, said: str, capture_options: CaptureOptions
) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Digest realm="cam", nonce="n", algorithm={algorithm}')
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, name="page")
        thread.start()
        states: list[CameraStatus] = []

        def note(status: CameraStatus) -> None:
            states.append(status)
            page.stop()

        page = Camera("page", f"http://joe:secret@127.0.0.1:{server.server_address[1]}/live", capture_options, note)
        with page:
            assert not list(page)
        server.shutdown()
        thread.join()
    assert states[-1].refused
    assert said in str(states[-1].last_error)
    assert "secret" not in str(states[-1].last_error)


def test_a_camera_that_was_logged_in_to_leaves_no_thread_behind(clip: Path, capture_options: CaptureOptions) -> None:
    asking = Behaviour(password="pa55", offers=("SHA-256",), accepts="SHA-256")
    with PlainCamera(clip, asking, user="viewer:pa55@").running() as camera:
        watched(camera, capture_options)
        wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("login-")], 5, "threads end")


def test_the_strongest_offer_that_is_known_comes_first() -> None:
    headers = [
        'Digest realm="a, b", nonce="1", qop="auth,auth-int", algorithm=MD5',
        'Digest realm="a", nonce="2", algorithm=SHA-256, opaque="x"',
        'Basic realm="a"',
        "Bearer",
    ]
    found = read_challenges(headers)
    assert [one.name for one in found if one.is_supported] == ["SHA-256 digest", "MD5 digest", "Basic"]
    assert (found[0].opaque, found[0].qop) == ("x", False)
    weak = next(one for one in found if one.algorithm == "MD5")
    assert (weak.realm, weak.qop) == ("a, b", True)


def test_an_answer_is_that_of_the_standard() -> None:
    # RFC 7616, section 3.9.1
    client = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    challenge = Challenge(
        "digest",
        algorithm="SHA-256",
        realm="http-auth@example.org",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
        qop=True,
    )
    answer = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, client)
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in answer
