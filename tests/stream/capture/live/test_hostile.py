"""Cameras that send without end, or nothing at all: bounded memory, true words, and a stop that is soon."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from helpers.media import Clip, make_clip
from helpers.plain_camera import Behaviour, PlainCamera
from helpers.waiting import wait_until
from stream import Camera, CameraStatus, CaptureOptions

pytestmark = pytest.mark.alone

LIMIT_MB = 8.0


class Watched:
    """A camera iterated in a thread, with its states and the most memory that the process took meanwhile."""

    def __init__(self, address: str, options: CaptureOptions) -> None:
        self.states: list[CameraStatus] = []
        self.frames = 0
        self.camera = Camera("roof", address, options, on_state=self.states.append)
        self._before = psutil.Process().memory_info().rss
        self.most_mb = 0.0
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()

    def _run(self) -> None:
        for _ in self.camera:
            self.frames += 1

    def said(self, words: str, seconds: float) -> None:
        """Wait until a state says `words`."""
        wait_until(lambda: self._measure() and any(words in str(s.last_error) for s in self.states), seconds, words)

    def measure_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        wait_until(lambda: self._measure() and time.monotonic() > until, seconds + 5, "time")

    def _measure(self) -> bool:
        self.most_mb = max(self.most_mb, (psutil.Process().memory_info().rss - self._before) / 2**20)
        return True

    def stop(self) -> float:
        """Seconds until it and its threads have ended."""
        began = time.monotonic()
        self.camera.stop()
        self._thread.join(10)
        self.camera.close()
        wait_until(lambda: not any(t.name.endswith("-roof") for t in threading.enumerate()), 10, "threads end")
        return time.monotonic() - began


@contextmanager
def pouring(answer: bytes, piece: bytes) -> Iterator[int]:
    """The port of a server that answers each client with `answer` and then with `piece`, without end."""
    stopped = threading.Event()

    def pour(client: socket.socket) -> None:
        try:
            with client:
                client.recv(65536)
                client.sendall(answer)
                while piece and not stopped.is_set():
                    client.sendall(piece)
                stopped.wait(60)
        except OSError:
            pass

    def accept(server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=pour, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, args=(server,), name="pour", daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopped.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.fixture
def options(capture_options: CaptureOptions) -> CaptureOptions:
    return msgspec.structs.replace(capture_options, frame_limit_mb=LIMIT_MB)


def test_a_frame_that_never_ends_is_cut_off_told_and_memory_stays_small(
    tmp_path: Path, options: CaptureOptions
) -> None:
    clip = make_clip(tmp_path / "cam.ts", Clip(seconds=1, size=(320, 180)))
    with PlainCamera(clip, Behaviour(endless=True)).running() as camera:
        roof = Watched(camera.url, options)
        roof.said("8 MB came without a frame that ends", 15)
        roof.measure_for(4)
        stopped = roof.stop()
    assert roof.most_mb < 350
    assert stopped < 3
    assert "capture.frame_limit_mb" in str(roof.states[-1].last_error)


def test_a_frame_that_never_ends_over_udp_is_cut_off_too(tmp_path: Path, options: CaptureOptions) -> None:
    clip = make_clip(tmp_path / "cam.ts", Clip(seconds=1, size=(320, 180)))
    with PlainCamera(clip, Behaviour(endless=True)).running() as camera:
        roof = Watched(camera.url, msgspec.structs.replace(options, transport="udp"))
        roof.said("8 MB came without a frame that ends", 20)
        roof.measure_for(4)
        stopped = roof.stop()
    assert roof.most_mb < 350
    assert stopped < options.open_seconds + 3  # a flood over UDP ends with the limit for opening


def test_a_camera_that_redirects_to_another_host_is_refused_and_named(tmp_path: Path, options: CaptureOptions) -> None:
    clip = make_clip(tmp_path / "cam.ts", Clip(seconds=1, size=(320, 180)))
    with PlainCamera(clip).running() as target:
        elsewhere = f"rtsp://localhost:{target.port}/cam"
        with PlainCamera(clip, Behaviour(redirect=elsewhere)).running() as camera:
            roof = Watched(camera.url, options)
            roof.said(f"redirects to another host, {elsewhere}", 15)
            roof.stop()
    assert not roof.frames


def test_a_camera_that_redirects_within_its_host_is_followed(tmp_path: Path, options: CaptureOptions) -> None:
    clip = make_clip(tmp_path / "cam.ts", Clip(seconds=1, size=(320, 180)))
    with (
        PlainCamera(clip).running() as target,
        PlainCamera(clip, Behaviour(redirect=target.url)).running() as camera,
    ):
        roof = Watched(camera.url, options)
        wait_until(lambda: roof.frames > 10, 15, "frames")
        roof.stop()
    assert not [state for state in roof.states if state.last_error]


def test_a_part_of_two_gigabytes_over_http_is_cut_off_too(options: CaptureOptions) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n\xff\xd8\xff"
    with pouring(head + part, b"\x55" * 65536) as port:
        roof = Watched(f"http://127.0.0.1:{port}/live", options)
        roof.said("8 MB came without a frame that ends", 15)
        roof.measure_for(3)
        stopped = roof.stop()
    assert roof.most_mb < 150
    assert stopped < 3


@pytest.mark.parametrize("what", ["nothing at all", "no DESCRIBE"])
def test_a_camera_that_accepts_and_says_nothing_did_not_answer(
    what: str, tmp_path: Path, options: CaptureOptions
) -> None:
    impatient = msgspec.structs.replace(options, open_seconds=2.0)
    if what == "nothing at all":
        with pouring(b"", b"") as port:
            roof = Watched(f"rtsp://127.0.0.1:{port}/cam", impatient)
            roof.said(f"127.0.0.1:{port} did not answer in 2 s", 10)
            assert roof.stop() < 3
        return
    clip = make_clip(tmp_path / "cam.ts", Clip(seconds=1, size=(320, 180)))
    with PlainCamera(clip, Behaviour(silent="DESCRIBE")).running() as camera:
        roof = Watched(camera.url, impatient)
        roof.said("did not answer in 2 s", 10)
        assert roof.stop() < 3


def test_a_server_that_speaks_something_else_answered_but_not_with_video(options: CaptureOptions) -> None:
    with pouring(b"220 mail ready\r\n" * 1000, b"") as port:
        roof = Watched(f"rtsp://127.0.0.1:{port}/cam", msgspec.structs.replace(options, open_seconds=2.0))
        roof.said("answered, but not with video", 10)
        roof.stop()
    assert not roof.frames


def test_a_good_camera_leaves_no_descriptor_behind_and_is_not_cut_off_by_what_it_sent_in_all(
    tmp_path: Path, options: CaptureOptions
) -> None:
    clip = make_clip(tmp_path / "cam.ts", Clip(seconds=1, bits_per_second=8_000_000, noise_levels=8.0))
    loops = 3 * 2**20 // clip.stat().st_size + 1
    with PlainCamera(clip, Behaviour(frame_seconds=0.01, stamp=lambda n: n * 900)).running() as camera:
        before = psutil.Process().num_fds()
        roof = Watched(camera.url, msgspec.structs.replace(options, frame_limit_mb=1.0))
        wait_until(lambda: roof.frames > 25 * loops, 60, "three times the limit")
        roof.stop()
        assert [state.state for state in roof.states] == ["live"]
        wait_until(lambda: psutil.Process().num_fds() <= before + 1, 5, "descriptors closed")
