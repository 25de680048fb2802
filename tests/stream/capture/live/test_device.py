"""Cameras at this computer, through OpenCV; and OpenCV itself where it will not load."""

import itertools
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.media import Clip, counter, make_clip
from helpers.waiting import wait_until
from stream import Camera, CaptureOptions
from stream.capture.live.device import is_device

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm to stand for a device")


@pytest.fixture
def device() -> Iterator[Path]:
    """A path below /dev that OpenCV can read frames from: a file, as no test machine has a camera."""
    path = Path("/dev/shm") / f"{uuid.uuid4().hex}.avi"
    options = {"qmin": "1", "qmax": "3"}
    yield make_clip(path, Clip(seconds=1, codec="mjpeg", pixels="yuvj420p", full_range=True, options=options))
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("address", "local"),
    [("0", True), ("12", True), ("/dev/video0", True), ("rtsp://a/b", False), ("0.mp4", False), ("/data/0", False)],
)
def test_numbers_and_paths_below_dev_are_devices(address: str, *, local: bool) -> None:
    assert is_device(address) is local


def test_a_devices_frames_come_in_order_timed_by_their_arrival(device: Path, capture_options: CaptureOptions) -> None:
    with Camera("window", str(device), capture_options) as camera:
        frames = [frame for frame, _ in zip(camera, range(25), strict=False)]
        assert [counter(f.levels(f.luma)) for f in frames] == list(range(25))
        assert {(f.clock, f.black, f.white) for f in frames} == {("arrival", 0, 255)}
        assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(frames))
        assert frames[3].rgb(320).shape == (180, 320, 3)


def test_a_device_that_is_pulled_out_is_told_and_taken_up_again_when_it_returns(
    device: Path, capture_options: CaptureOptions
) -> None:
    with Camera("window", str(device), capture_options) as camera:
        numbers: list[int] = []
        thread = threading.Thread(target=lambda: numbers.extend(frame.number for frame in camera))
        thread.start()
        wait_until(lambda: "no longer gives frames" in str(camera.status.last_error), 5, "the loss")
        wait_until(lambda: camera.status.reconnects >= 1, 5, "the return")
        device.unlink()
        wait_until(lambda: f"there is no {device}" in str(camera.status.last_error), 8, "the device missed")
        camera.stop()
        thread.join(5)
        assert not thread.is_alive()
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 50, "it was shown again after the loss"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("libGL.so.1: cannot open shared object file: No such file or directory", "apt-get install libgl1"),
        ("No module named 'cv2'", "pip install opencv-python"),
    ],
)
def test_an_opencv_that_will_not_load_says_what_to_install(error: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text(f"raise ImportError({error!r})")
    program = "from stream import OpenError, load_opencv\ntry:\n load_opencv()\nexcept OpenError as e:\n print(e)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said in done.stdout
    assert len(done.stdout.splitlines()) == 1
