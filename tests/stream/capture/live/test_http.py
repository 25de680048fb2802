"""Recordings and cameras over HTTP."""

import functools
import http.server
import io
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import msgspec
import pytest

from helpers.media import Clip, counter, make_clip
from helpers.rtsp import own_certificate
from stream import Camera, CameraStatus, CaptureOptions, Frame, OpenError, open_video

BOUNDARY = "frame"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and `/live`: the frames of live.avi as a browser's camera page shows them.

    `/live` sends them all at once, `/live?10` ten of them a second. `/unsized/NAME` sends a file and not its size.
    """

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path, _, rate = self.path.partition("?")
        if path.startswith("/unsized/"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write((Path(self.directory) / Path(path).name).read_bytes())
            return
        if path != "/live":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.end_headers()
        with av.open(str(Path(self.directory) / "live.avi")) as container:
            jpegs = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        began = time.monotonic()
        for number, jpeg in enumerate(jpegs):
            time.sleep(max(0.0, began + number / float(rate) - time.monotonic()) if rate else 0.0)
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")


@contextmanager
def served(folder: Path, certificate: Path | None = None) -> Iterator[str]:
    """The address of a web server for `folder`, over TLS if it has a `certificate` (with its key)."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, name="web")
        thread.start()
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server for `tmp_path`."""
    with served(tmp_path) as address:
        yield address


def test_a_recording_on_a_web_server_is_read_like_a_file(
    web: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = Clip(seconds=1, size=(320, 180), container_options={"movflags": "faststart"})  # read from front to back
    make_clip(tmp_path / "storm.mp4", clip)
    with open_video(f"{web}/storm.mp4", options=capture_options) as video:
        assert video.duration_seconds == pytest.approx(1.0)
        assert [counter(f.levels(f.luma)) for f in video] == list(range(25))


def test_a_recording_that_is_not_there_is_refused(web: str, capture_options: CaptureOptions) -> None:
    with pytest.raises(OpenError, match="404"):
        open_video(f"{web}/nothing.mp4", options=capture_options)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_a_recording_over_tls_is_read_only_where_its_server_is_trusted(
    tmp_path: Path, capture_options: CaptureOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip(seconds=1, size=(320, 180), container_options={"movflags": "faststart"})
    make_clip(tmp_path / "storm.mp4", clip)
    certificate, both = own_certificate(tmp_path)

    def count_frames(options: CaptureOptions) -> int:
        with open_video(f"{address}/storm.mp4", options=options) as video:
            return len(list(video))

    with served(tmp_path, both) as address:
        with pytest.raises(OpenError, match="tls_ca_file"):
            count_frames(capture_options)
        assert count_frames(msgspec.structs.replace(capture_options, tls_ca_file=str(certificate))) == 25
        assert count_frames(msgspec.structs.replace(capture_options, tls_verify=False)) == 25
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # what the system trusts
        assert count_frames(capture_options) == 25


def test_a_camera_that_sends_jpegs_over_http_is_watched_and_taken_up_again(
    web: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = Clip(seconds=1, size=(320, 180), codec="mjpeg", pixels="yuvj420p", full_range=True)
    make_clip(tmp_path / "live.avi", clip)
    with Camera("page", f"{web}/live", capture_options) as camera:
        frames = [frame for frame, _ in zip(camera, range(40), strict=False)]
        assert [counter(f.levels(f.luma)) for f in frames] == [*range(25), *range(15)]
        assert [f.epoch for f in frames] == [0] * 25 + [1] * 15
        assert camera.status.reconnects == 1


def test_frames_over_http_which_carry_no_time_are_timed_by_their_arrival(
    web: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    make_clip(tmp_path / "live.avi", Clip(seconds=2, codec="mjpeg", pixels="yuvj420p", full_range=True))
    frames: list[Frame] = []
    with Camera("page", f"{web}/live?10", capture_options, history_seconds=3.0) as camera:
        for frame in camera:
            frames.append(frame)
            if len(frames) == 30:
                clip = camera.cut(frames[10].seconds, frame.seconds + 0.05)
                break
    first, last = frames[0], frames[-1]
    assert last.seconds - first.seconds == pytest.approx(last.arrival - first.arrival, abs=0.01)
    assert last.duration == pytest.approx(0.1, rel=0.1)
    assert {frame.clock for frame in frames} == {"arrival"}
    assert last.utc is not None
    assert last.utc_error_ms is not None
    assert abs(last.utc - last.arrival - (time.time() - time.monotonic())) < last.utc_error_ms / 1000 < 1.5
    assert clip is not None
    with av.open(io.BytesIO(clip.data), "r") as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times[-1] == pytest.approx(last.seconds - clip.start_seconds, abs=0.01)


def test_a_clip_is_cut_from_a_stream_whose_packets_lack_their_parameter_sets(
    web: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    make_clip(tmp_path / "live.flv", Clip(seconds=3, size=(320, 180)))
    with Camera("page", f"{web}/live.flv", capture_options, history_seconds=3.0) as camera:
        clip = next(camera.cut(0.5, 1.9) for frame in camera if frame.number == 60)
    assert clip is not None
    assert (clip.container, clip.start_seconds) == ("mp4", pytest.approx(0.0))
    with av.open(io.BytesIO(clip.data), "r") as container:
        assert [counter(one.to_ndarray(format="gray")) for one in container.decode(video=0)] == list(range(48))


def swollen(made: Path, path: Path, added: int) -> Path:
    """The recording `made`, each of its packets longer by `added` bytes of filler, which no decoder shows."""
    filler = added.to_bytes(4) + b"\x0c" + b"\xff" * (added - 1)
    with av.open(str(made)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                longer = av.Packet(bytes(packet) + filler)
                longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
                longer.is_keyframe, longer.stream = packet.is_keyframe, stream
                output.mux(longer)
    return path


def test_a_camera_whose_key_frames_are_too_far_apart_for_clips_is_told_so_once(
    web: str, tmp_path: Path, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_clip(tmp_path / "made.mp4", Clip(seconds=1, size=(320, 180), key_seconds=9.0))
    swollen(made, tmp_path / "live.flv", 3_000_000)
    with Camera("page", f"{web}/live.flv", capture_options, history_seconds=3.0) as camera:
        for frame in camera:
            if frame.number == 48:
                break
        assert camera.status.reconnects == 1
    assert caplog.text.count("without a key frame") == 1
    assert "page: 64 MB came in 1 s without a key frame" in caplog.text


def refusal(address: str, options: CaptureOptions) -> str:
    """What a camera at `address` says when it is refused for good, before any frame."""
    states: list[CameraStatus] = []

    def stop(status: CameraStatus) -> None:
        states.append(status)
        camera.stop()

    camera = Camera("page", address, options, on_state=stop)
    with camera:
        assert not list(camera)
    assert [(status.state, status.refused) for status in states] == [("down", True)]
    return str(states[0].last_error)


def test_a_still_image_is_no_live_stream_and_says_what_to_give_instead(
    web: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    av.VideoFrame(64, 64, "rgb24").save(tmp_path / "snap.jpg")
    refused = refusal(f"{web}/snap.jpg", capture_options)
    assert "is a still image" in refused
    assert "rtsp://" in refused


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


@pytest.mark.parametrize("name", ["storm.mp4", "storm.mov", "storm.mkv", "storm.avi"])
def test_a_recording_on_a_web_server_is_no_camera_and_referred_to_replay(
    name: str, web: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    make_clip(tmp_path / name, Clip(seconds=3, size=(320, 180)))
    refused = refusal(f"{web}/{name}", capture_options)
    assert "is a recording of 3 s, not a camera; use replay" in refused


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("live.ts", {}),
        ("live.flv", {}),
        ("unsized/live.mp4", FRAGMENTS),
        ("unsized/live.mp4", {"movflags": "frag_keyframe"}),
        ("unsized/live.mkv", {"live": "1"}),
    ],
)
def test_live_streams_over_http_are_watched_and_taken_up_again_at_their_end(
    address: str, options: dict[str, str], web: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    make_clip(tmp_path / Path(address).name, Clip(seconds=1, size=(320, 180), container_options=options))
    with Camera("page", f"{web}/{address}", capture_options) as camera:
        assert len([frame for frame, _ in zip(camera, range(40), strict=False)]) == 40
        assert camera.status.reconnects == 1
