"""OpenCV works in the thread that calls it: cameras and files are what is divided among cores."""

import subprocess
import sys

import pytest

_BLUR = """
import os
import numpy as np
from stream import load_opencv
cv2 = load_opencv()
before = len(os.listdir("/proc/self/task"))
for _ in range(3):
    cv2.GaussianBlur(np.zeros((2160, 3840), np.uint8), (31, 31), 0)
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_thread_is_started_even_for_a_large_frame() -> None:
    done = subprocess.run([sys.executable, "-c", _BLUR], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0"


def test_the_pool_is_off_on_any_machine() -> None:
    program = "from stream import load_opencv; print(load_opencv().getNumThreads())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() in ("0", "1")
