"""A live source behind an RTSP server of its own kind: aio-rtsp-toolkit's in Python, which knows TCP alone."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from helpers.media import Clip, counter, make_clip
from helpers.rtsp import free_port
from helpers.waiting import wait_until
from stream import Camera, CaptureOptions

CLIP = Clip(seconds=8, size=(320, 180))
SERVE = """
import asyncio, sys
from aio_rtsp_toolkit.server import serve
asyncio.run(serve(sys.argv[1], "127.0.0.1", int(sys.argv[2]), control_port=int(sys.argv[3])))
"""


@pytest.fixture
def toolkit_camera(tmp_path: Path) -> Iterator[str]:
    """The address of `CLIP`."""
    pytest.importorskip("aio_rtsp_toolkit")
    make_clip(tmp_path / "sky.mp4", CLIP)
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as out:
        words = [sys.executable, "-c", SERVE, str(tmp_path), str(port), str(free_port())]
        with subprocess.Popen(words, stdout=out, stderr=out) as server:
            try:
                wait_until(lambda: b"listen" in log.read_bytes().lower(), 20, "the server")
                yield f"rtsp://127.0.0.1:{port}/sky.mp4"
            finally:
                server.kill()


@pytest.mark.rtsp
@pytest.mark.parametrize("transport", ["tcp", "auto"])
def test_a_server_that_knows_tcp_alone_is_watched_frame_by_frame(
    transport: str, toolkit_camera: str, capture_options: CaptureOptions
) -> None:
    options = msgspec.structs.replace(capture_options, transport=transport, open_seconds=8.0)
    with Camera("sky", toolkit_camera, options) as camera:
        frames = [frame for frame, _ in zip(camera, range(75), strict=False)]
    numbers = [counter(frame.levels(frame.luma)) for frame in frames if not frame.quality]
    assert len(numbers) > 50
    # This server sends the first frame twice to some clients.
    steps = [(later - earlier) % CLIP.frames for earlier, later in pairwise(numbers)]
    assert set(steps) <= {0, 1}
    assert steps.count(0) <= 1
    assert all(frame.utc is not None for frame in frames)
