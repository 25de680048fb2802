"""Waits between attempts that fail."""

import subprocess
import sys

import pytest

from stream import Backoff


def test_waits_double_up_to_the_cap_and_begin_anew_after_a_reset() -> None:
    backoff = Backoff(first_seconds=1.0, longest_seconds=6.0)
    for _ in range(2):
        waits = [backoff.next_wait() for _ in range(50)]
        assert backoff.failures == 50
        for wait, whole in zip(waits, [1.0, 2.0, 4.0] + [6.0] * 47, strict=True):
            assert whole / 2 <= wait <= whole
        backoff.reset()


def test_clients_that_failed_together_do_not_return_together() -> None:
    waits = {round(Backoff(first_seconds=1.0, longest_seconds=6.0).next_wait(), 6) for _ in range(50)}
    assert len(waits) > 40


def test_a_single_wait_can_be_capped_lower() -> None:
    backoff = Backoff(first_seconds=8.0, longest_seconds=60.0)
    assert backoff.next_wait(longest_seconds=2.0) <= 2.0
    assert backoff.next_wait() >= 8.0


@pytest.mark.parametrize("waits", [(0.0, 1.0), (1.0, -1.0)])
def test_waits_that_are_not_positive_are_refused(waits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Backoff(*waits)


def test_waits_are_there_without_the_libraries_for_video() -> None:
    program = "import sys, stream; stream.Backoff(1.0, 2.0); print({'av', 'cv2', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
