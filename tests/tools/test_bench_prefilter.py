"""What the prefilter's benchmark counts as held."""

from collections import deque
from pathlib import Path

import numpy as np

from bench.prefilter import cost_of, held_bytes
from storm import Plan, Scene, write_clip


def test_an_array_counts_once_however_often_it_is_held_and_a_view_as_what_it_keeps_alive() -> None:
    whole = np.zeros((100, 10), np.uint8)
    assert held_bytes([whole, (whole, {}), deque([whole[::2]])]) == 1000
    assert held_bytes(whole[:1]) == 1000


def test_a_clip_is_decoded_to_its_end_and_the_frame_that_is_held_counts(tmp_path: Path) -> None:
    clip = tmp_path / "quiet.mp4"
    write_clip(Scene(Plan(seconds=1.2, size=(640, 360), rate=25)), clip)
    cost = cost_of(clip)
    assert cost.frames == 30
    assert cost.size == "640x360"
    assert cost.state_mb > 640 * 360 * 1.5 / 1e6
    assert cost.share > 0
