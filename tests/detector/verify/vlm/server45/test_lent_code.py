"""The serving process runs in the second environment: what it imports of this program must be at home there."""

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the extra minicpm is not installed")

PROGRAM = """
import sys
import detector.verify.vlm.server45.serve
print({"stream", "av", "cv2", "zmq"} & {*sys.modules}, "detector.verify.batch_queue" in sys.modules)
"""


@pytest.mark.model
@pytest.mark.slow
def test_the_serving_process_imports_nothing_that_its_environment_lacks_and_batches_with_the_same_queue() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.split() == ["set()", "True"]
