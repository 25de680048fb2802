"""A live source behind an RTSP server of its own kind: Node's, which knows UDP alone, fed by FFmpeg."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from helpers import ROOT
from helpers.media import Clip, counter, make_clip
from helpers.ports import free_port
from helpers.waiting import wait_until
from stream import Camera, CaptureOptions

SERVER = ROOT / "tests" / "helpers" / "node_rtsp"
CLIP = Clip(seconds=8, size=(320, 180))


@pytest.fixture
def node_camera(tmp_path: Path) -> Iterator[str]:
    """The address of `CLIP`, sent over and over."""
    folders = (SERVER / "node_modules", *map(Path, os.environ.get("NODE_PATH", "").split(":")))
    modules = next((folder for folder in folders if (folder / "rtsp-streaming-server").is_dir()), None)
    if not shutil.which("node") or not shutil.which("ffmpeg") or modules is None:
        pytest.skip("Node or its server is missing: npm install --ignore-scripts --prefix tests/helpers/node_rtsp")
    clip = make_clip(tmp_path / "clip.mp4", CLIP)
    source, client, rtp = free_port(), free_port(), free_port() // 2 * 2
    (tmp_path / "node_modules").symlink_to(modules)
    shutil.copy(SERVER / "serve.cjs", tmp_path)
    log = tmp_path / "log"
    with ExitStack() as stack:
        out = stack.enter_context(log.open("wb"))
        push = f"rtsp://127.0.0.1:{source}/sky"
        ports = [str(port) for port in (source, client, rtp)]
        for command, ready in (
            (["node", str(tmp_path / "serve.cjs"), *ports], b"ready"),
            (["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "rtsp", push], b""),
        ):
            process = subprocess.Popen(command, stdout=out, stderr=out)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            wait_until(lambda ready=ready: ready in log.read_bytes(), 20, "the server")
        wait_until(lambda: describes(client), 20, "the pushed stream")
        yield f"rtsp://127.0.0.1:{client}/sky"


def describes(port: int) -> bool:
    """Whether the server knows the stream by now; a camera told 404 would rest for half a minute."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(f"DESCRIBE rtsp://127.0.0.1:{port}/sky RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        return b" 200 " in client.recv(4096)


@pytest.mark.rtsp
@pytest.mark.slow
@pytest.mark.parametrize("transport", ["udp", "auto"])
def test_a_server_that_knows_udp_alone_is_watched_frame_by_frame(
    transport: str, node_camera: str, capture_options: CaptureOptions
) -> None:
    options = msgspec.structs.replace(capture_options, transport=transport, open_seconds=8.0)
    with Camera("sky", node_camera, options) as camera:
        frames = [frame for frame, _ in zip(camera, range(75), strict=False)]
    numbers = [counter(frame.levels(frame.luma)) for frame in frames if not frame.quality]
    assert len(numbers) > 50
    steps = {(later - earlier) % CLIP.frames for earlier, later in pairwise(numbers)}
    assert steps == {1}
