"""Passwords of cameras: whatever goes wrong, they appear nowhere."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from helpers.ports import free_port
from helpers.rtsp import RtspServer

# Says everything that a program may say about its cameras: logs of all levels, states, reprs and tracebacks.
SAYS_EVERYTHING = """
import logging, sys, threading, traceback
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
from detector.run.cameras import load_cameras
from detector.errors import DetectorError
from detector.settings import load_settings
from stream import Camera, StreamError, open_video

options = load_settings().capture
for address in sys.argv[1:]:
    table = {"camera": [{"url": address, "name": "roof"}]}
    print(load_cameras([("cameras.toml", table)]))
    try:
        load_cameras([("cameras.toml", {"camera": [{"url": address, "name": address, address: address}]})])
    except DetectorError:
        traceback.print_exc(file=sys.stdout)
    try:
        with open_video(address, options=options) as video:
            print(video, next(iter(video)))
    except StreamError:
        traceback.print_exc(file=sys.stdout)
    camera = Camera("roof", address, options, on_state=print)
    threading.Timer(1.0, camera.stop).start()
    with camera:
        for frame in camera:
            print(frame)
    print(camera, camera.status)
"""


def test_no_output_of_any_kind_holds_a_password(rtsp_server: Callable[..., RtspServer], camera_clip: Path) -> None:
    server = rtsp_server(camera_clip, "--user", "viewer-name", "--password", "secret-word")
    addresses = [
        f"rtsp://viewer-name:secret-word@127.0.0.1:{server.port}/cam",
        f"rtsp://viewer-name:secret-wrong@127.0.0.1:{server.port}/cam",
        f"rtsp://viewer-name:secret-word@127.0.0.1:{server.port}/nowhere",
        f"rtsp://viewer-name:secret-word@127.0.0.1:{free_port()}/cam",
        "rtsp://viewer-name:secret-word@nowhere.invalid/cam",
        f"http://127.0.0.1:{free_port()}/video?user=viewer-name&password=secret-word",
        f"rtsp://127.0.0.1:{free_port()}/user=viewer-name_password=secret-word_channel=1_stream=0.sdp",
        f"rtsp://viewer-name:secret'word@127.0.0.1:{free_port()}/cam",
        f"rtsp://viewer-name:no/secret-word@127.0.0.1:{free_port()}/cam",
    ]
    done = subprocess.run(
        [sys.executable, "-c", SAYS_EVERYTHING, *addresses], capture_output=True, text=True, timeout=100, check=False
    )
    said = done.stdout + done.stderr
    assert "user name or password" in said
    assert "Frame(" in said
    assert done.returncode == 0, said
    leaks = [line for line in said.splitlines() if "secret" in line or "viewer-name" in line]
    assert not leaks, "\n".join(leaks)
