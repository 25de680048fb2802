"""Cameras that always come back: a real RTSP server is killed, frozen, muted, changed and misaddressed."""

import contextlib
import itertools
import os
import queue
import shutil
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest

from helpers.mangler import Faults, Mangler
from helpers.media import Clip, counter, make_clip
from helpers.ports import free_port
from helpers.rtsp import RtspServer, own_certificate
from helpers.waiting import wait_until
from stream import Camera, CameraStatus, CaptureOptions, Frame, granted_receive_bytes

Servers = Callable[..., RtspServer]
Mangled = Callable[[RtspServer, Faults], tuple[Mangler, str]]


class Watcher:
    """A camera iterated in a thread; keeps its frames' facts and states."""

    def __init__(self, address: str, options: CaptureOptions, name: str = "roof") -> None:
        self.states: list[CameraStatus] = []
        self.frames: list[Frame] = []
        self.counters: list[int] = []
        self.camera = Camera(name, address, options, on_state=self.states.append)
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}")
        self._thread.start()

    def _run(self) -> None:
        for frame in self.camera:
            self.counters.append(counter(frame.levels(frame.luma)))
            self.frames.append(replace(frame, luma=frame.luma[:1, :1].copy(), color=None))

    @property
    def state(self) -> str:
        return self.camera.status.state

    def live(self, seconds: float = 8.0) -> float:
        """Seconds until more frames come."""
        before = len(self.frames)
        return wait_until(lambda: len(self.frames) > before + 2 and self.state == "live", seconds, "frames")

    def stop(self) -> float:
        """Seconds that stopping took."""
        started = time.monotonic()
        self.camera.stop()
        self._thread.join(10)
        self.camera.close()
        assert not self._thread.is_alive()
        return time.monotonic() - started


@contextlib.contextmanager
def watching(address: str, options: CaptureOptions, name: str = "roof") -> Iterator[Watcher]:
    watcher = Watcher(address, options, name)
    try:
        yield watcher
    finally:
        watcher.stop()


@pytest.mark.parametrize("transport", ["auto", "tcp", "udp"])
def test_every_frame_of_a_camera_arrives_once_in_order(
    transport: str, rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    with watching(server.url, msgspec.structs.replace(capture_options, transport=transport)) as roof:
        wait_until(lambda: len(roof.frames) >= 60, 10, "60 frames")
    counts = roof.counters[:60]
    assert counts == list(range(counts[0], counts[0] + 60))
    assert [f.number for f in roof.frames[:60]] == list(range(60))
    steps = [b.seconds - a.seconds for a, b in itertools.pairwise(roof.frames[:60])]
    assert steps == pytest.approx([0.04] * 59, abs=0.002)
    assert {f.quality for f in roof.frames} == {()}
    assert {f.epoch for f in roof.frames} == {0}


def test_a_camera_that_has_only_udp_is_found_out_by_itself(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    url = rtsp_server(camera_clip, "--udp-only").url
    with watching(url, capture_options) as roof:
        roof.live()
    with watching(url, msgspec.structs.replace(capture_options, transport="tcp")) as told_wrong:
        wait_until(lambda: told_wrong.state == "down", 8, "down")
        assert not told_wrong.frames


def datagram_buffers() -> list[int]:
    """How many bytes may wait at each UDP socket of this process; the kernel grants twice that, for its own needs."""
    found = []
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):  # closed meanwhile
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as one:
                    if one.type == socket.SOCK_DGRAM:
                        found.append(one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)
    return found


def test_a_key_frame_that_comes_all_at_once_over_udp_finds_room_while_the_program_is_busy(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text(encoding="ascii"))
    assert granted_receive_bytes() == min(4 << 20, allowed)
    with watching(rtsp_server(camera_clip).url, msgspec.structs.replace(capture_options, transport="udp")) as roof:
        roof.live()
        assert max(datagram_buffers()) == min(4 << 20, allowed)


def test_sound_beside_the_frames_changes_nothing(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    with watching(rtsp_server(camera_clip, "--audio").url, capture_options) as roof:
        wait_until(lambda: len(roof.frames) >= 60, 10, "60 frames")
    steps = [b.seconds - a.seconds for a, b in itertools.pairwise(roof.frames[:60])]
    assert steps == pytest.approx([0.04] * 59, abs=0.0005)


def test_a_source_with_sound_alone_is_explained(rtsp_server: Servers, capture_options: CaptureOptions) -> None:
    with watching(rtsp_server(None, "--audio").url, capture_options) as roof:
        wait_until(lambda: roof.states, 10, "a state")
        assert "no video" in str(roof.camera.status.last_error)
        assert roof.camera.status.refused


def test_a_killed_camera_is_noticed_at_once_and_shown_again_soon_after_its_return(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    with watching(server.url, capture_options) as roof:
        roof.live()
        server.kill()
        assert wait_until(lambda: roof.state == "down", 1.0, "down") < 1.0
        server.start()
        assert roof.live(3.0) < 3.0
        before, after = next((a, b) for a, b in itertools.pairwise(roof.frames) if b.epoch > a.epoch)
        assert after.number == before.number + 1
        assert after.seconds > before.seconds
        assert roof.camera.status.reconnects == 1
    words = [s.last_error for s in roof.states if s.state == "down"]
    assert "closed the connection" in str(words[0])


def test_a_frozen_camera_is_noticed_by_the_age_of_its_last_frame_and_goes_on_at_once(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    with watching(server.url, capture_options) as roof:
        roof.live()
        server.signal(signal.SIGSTOP)
        frozen = time.monotonic()
        wait_until(lambda: roof.state == "stalled", 3, "stalled")
        assert time.monotonic() - frozen == pytest.approx(capture_options.stall_seconds, abs=0.5)
        server.signal(signal.SIGCONT)
        assert roof.live(1.0) < 1.0


def test_a_camera_that_answers_but_sends_no_frames_counts_as_stalled(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    options = msgspec.structs.replace(capture_options, transport="udp")
    with watching(server.url, options) as roof:
        roof.live()
        server.signal(signal.SIGUSR1)
        wait_until(lambda: roof.state == "stalled", 3, "stalled")
        server.signal(signal.SIGUSR1)
        assert roof.live(2.0) < 2.0


def test_a_camera_behind_a_dead_line_is_reached_anew_while_the_old_connection_hangs(
    rtsp_server: Servers, mangled: Mangled, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    first, second = rtsp_server(camera_clip), rtsp_server(camera_clip)
    mangler, url = mangled(first, Faults())
    with watching(url, capture_options) as roof:
        roof.live()
        first.signal(signal.SIGSTOP)  # the old connection never closes: a power cut sends nothing
        mangler.server_port = second.port
        wait_until(lambda: roof.camera.status.reconnects == 1, capture_options.stall_seconds + 3, "the way round")
        roof.live()
        assert roof.frames[-1].epoch > roof.frames[0].epoch
        first.signal(signal.SIGCONT)


def test_a_change_of_size_or_codec_starts_a_new_epoch(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions, tmp_path: Path
) -> None:
    other = make_clip(tmp_path / "other.mp4", Clip(seconds=4, size=(320, 180), codec="libx265", options=QUIET_X265))
    server = rtsp_server(camera_clip)
    with watching(server.url, capture_options) as roof:
        roof.live()
        assert roof.camera.status.size == (640, 360)
        server.kill()
        server.clip = other
        server.start()
        wait_until(lambda: roof.frames[-1].epoch > roof.frames[0].epoch, 5, "a frame of a new epoch")
        assert roof.camera.status.size == (320, 180)


QUIET_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}


@contextlib.contextmanager
def rubbish_server(answer: bytes, *, reads: bool = True) -> Iterator[tuple[int, list[float]]]:
    """A TCP server that says `answer` to everybody and closes; the times of its clients."""
    clients: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                clients.append(time.monotonic())
                with client:
                    client.settimeout(2)
                    if reads:
                        client.recv(4096)
                    client.sendall(answer)

        thread = threading.Thread(target=serve, name="rubbish")
        thread.start()
        try:
            yield server.getsockname()[1], clients
        finally:
            ended.set()
            thread.join()


def test_rubbish_instead_of_video_is_told_and_tried_again_without_spinning(capture_options: CaptureOptions) -> None:
    with (
        rubbish_server(b"\x00\xff rubbish \r\n\r\n" * 40) as (port, clients),
        watching(f"rtsp://127.0.0.1:{port}/cam", capture_options) as roof,
    ):
        wait_until(lambda: len(clients) >= 3, 10, "three attempts")
        assert roof.state == "down"
        assert f"127.0.0.1:{port}" in str(roof.camera.status.last_error)
        gaps = [b - a for a, b in itertools.pairwise(clients)]
        assert min(gaps) > capture_options.retry_first_seconds / 2


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("rtsp://viewer:wrong-secret@127.0.0.1:{port}/cam", "user name or password"),
        ("rtsp://viewer:right-secret@127.0.0.1:{port}/nowhere", "path is unknown"),
    ],
)
def test_a_wrong_password_or_path_is_told_once_and_tried_again_slowly(
    address: str, said: str, rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip, "--user", "viewer", "--password", "right-secret")
    options = msgspec.structs.replace(capture_options, retry_refused_seconds=1.0)
    with watching(address.format(port=server.port), options) as roof:
        wait_until(lambda: roof.states, 5, "a state")
        seen = roof.camera.status
        assert (seen.state, seen.refused) == ("down", True)
        assert said in str(seen.last_error)
        assert "secret" not in repr(seen)
        first = roof.camera.status.attempts
        wait_until(lambda: roof.camera.status.attempts > first, 3, "another attempt")
        wait_until(lambda: roof.camera.status.attempts > first + 1, 3, "and one more")
        assert [s.state for s in roof.states] == ["down"]


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_the_right_password_opens_a_protected_camera(
    auth: str, rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip, "--user", "viewer", "--password", "p@ss:word", "--auth", auth)
    with watching(server.url.replace("//", "//viewer:p%40ss%3Aword@"), capture_options) as roof:
        roof.live()
        assert not any(secret in repr(roof.states) for secret in ("p%40ss", "p@ss"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("rtsp://u:top-secret@nowhere.invalid/cam", "host name nowhere.invalid is unknown"),
        ("rtsp://u:top-secret@127.0.0.1:{closed}/cam", "refused the connection"),
        ("rtsp://u:top-secret@127.0.0.1:99999/cam", "its port is no number from 0 to 65535"),
        ("/dev/video77", "there is no /dev/video77"),
        ("smoke://u:top-secret@127.0.0.1/cam", "kind of address"),
        ("storm.mp4", "recordings are for replay"),
    ],
)
def test_an_address_that_cannot_work_is_explained(address: str, said: str, capture_options: CaptureOptions) -> None:
    with watching(address.format(closed=free_port()), capture_options) as roof:
        wait_until(lambda: roof.states, 10, "a state")
        assert said in str(roof.camera.status.last_error)
        assert "top-secret" not in repr(roof.states)


def test_stopping_is_prompt_in_every_state(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    live = Watcher(server.url, capture_options)
    live.live()
    stalled = Watcher(server.url, capture_options)
    stalled.live()
    assert live.stop() < 3
    server.signal(signal.SIGSTOP)
    wait_until(lambda: stalled.state == "stalled", 5, "stalled")
    connecting = Watcher(server.url, capture_options)
    assert stalled.stop() < 3
    assert connecting.stop() < 3
    server.signal(signal.SIGCONT)
    down = Watcher(f"rtsp://127.0.0.1:{free_port()}/cam", capture_options)
    wait_until(lambda: down.state == "down", 5, "down")
    assert down.stop() < 3


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_a_camera_with_its_own_certificate_is_refused_until_it_is_named(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions, tmp_path: Path
) -> None:
    certificate, both = own_certificate(tmp_path)
    url = rtsp_server(camera_clip, "--tls", str(both)).url.replace("rtsp:", "rtsps:")
    with watching(url, capture_options) as roof:
        wait_until(lambda: "tls_ca_file" in str(roof.camera.status.last_error), 5, "the refusal")
        assert not roof.frames
    with watching(url, msgspec.structs.replace(capture_options, tls_ca_file=str(certificate))) as roof:
        roof.live()
    with watching(url, msgspec.structs.replace(capture_options, tls_verify=False)) as roof:
        roof.live()


def test_killing_and_freezing_leaves_nothing_behind(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    process = psutil.Process()
    with watching(server.url, capture_options) as roof:
        roof.live()
        before = process.num_threads(), process.num_fds()
        for _ in range(4):
            server.kill()
            wait_until(lambda: roof.state == "down", 2, "down")
            server.start()
            roof.live()
            server.signal(signal.SIGSTOP)
            wait_until(lambda: roof.state == "stalled", 4, "stalled")
            server.signal(signal.SIGCONT)
            roof.live()
        wait_until(lambda: (process.num_threads(), process.num_fds()) <= before, 5, "all given back")
        assert roof.camera.status.reconnects >= 4
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "camera-roof"], 5, "no thread left")


def test_a_slow_program_skips_frames_of_a_live_camera_and_counts_them_and_says_so_once(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    server = rtsp_server(camera_clip)
    options = msgspec.structs.replace(capture_options, backlog_seconds=2.0)
    told: list[CameraStatus] = []
    with Camera("roof", server.url, options, on_state=told.append) as camera:
        frames = iter(camera)
        first = next(frames)
        wait_until(lambda: camera._queue.skipped > 10, 8, "skipped frames")
        late = [next(frames) for _ in range(60)]
        assert camera.status.skipped > 10
        assert camera.status.late > 10
        assert late[-1].seconds - first.seconds > 61 * 0.04
        assert camera.status.reconnects == 0
        assert [(status.state, status.skipped > 10) for status in told] == [("live", False), ("live", True)]
        assert [line for line in caplog.messages if "too slow" in line and f"{told[1].skipped} skipped" in line]
        camera.stop()


def test_an_error_in_the_program_frees_the_camera(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    with pytest.raises(ZeroDivisionError), Camera("roof", server.url, capture_options) as camera:
        1 / next(iter(camera)).number
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "camera-roof"], 5, "no thread left")


def test_one_camera_in_trouble_does_not_touch_another(
    rtsp_server: Servers, mangled: Mangled, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    good, frozen, lossy = (rtsp_server(camera_clip) for _ in range(3))
    _, lossy_url = mangled(lossy, Faults(drop=0.05))
    with (
        watching(frozen.url, capture_options, "frozen") as second,
        watching(f"rtsp://127.0.0.1:{free_port()}/cam", capture_options, "refusing"),
        watching(lossy_url, capture_options, "lossy"),
        watching(good.url, capture_options, "good") as fourth,
    ):
        second.live()
        frozen.signal(signal.SIGSTOP)
        fourth.live()
        begin = len(fourth.frames)
        wait_until(lambda: len(fourth.frames) > begin + 100, 10, "100 frames")
        counts = fourth.counters[begin : begin + 100]
        assert [(n - counts[0]) % 250 for n in counts] == list(range(100))
        assert fourth.camera.status.late == 0
        assert fourth.states[-1].state == "live"
        frozen.signal(signal.SIGCONT)


def test_states_and_errors_reach_the_callback_in_order(
    rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    seen: queue.SimpleQueue[CameraStatus] = queue.SimpleQueue()
    server = RtspServer(camera_clip)
    with Camera("roof", server.url, capture_options, on_state=seen.put) as camera:
        thread = threading.Thread(target=lambda: [None for _ in camera])
        thread.start()
        first = seen.get(timeout=5)
        assert (first.state, f"{server.port} refused" in str(first.last_error)) == ("down", True)
        rtsp_server(camera_clip, port=server.port)
        second = seen.get(timeout=5)
        assert (second.state, second.last_error) == ("live", first.last_error)
        camera.stop()
        thread.join(5)
