"""Frames that drift until the next key frame: the step there is no reason to see less."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from helpers.scenes import Picture, closed, frames, lit, sky_light
from stream import Frame

KEY_SECONDS = 1.0


def drifting(
    light: Picture, *spans: tuple[float, float], rebased: bool = True, seconds: float = 8.0
) -> Iterator[Frame]:
    """Frames that drift by up to four levels up or down, place by place, until each key frame."""
    rng = np.random.default_rng(7)
    signs = rng.choice([-1.0, 1.0], (12, 16))
    for frame in frames(lit(*spans, light=light), seconds=seconds, noise=1.0):
        age = frame.seconds % KEY_SECONDS
        drift = np.kron(signs, np.ones((-(-frame.luma.shape[0] // 12), -(-frame.luma.shape[1] // 16))))
        drift = drift[: frame.luma.shape[0], : frame.luma.shape[1]] * 4.0 * age
        luma = np.clip(frame.luma + drift, 0, 255).astype(np.uint8)
        yield replace(frame, luma=luma, rebased=rebased and frame.seconds > 0.5 and age < 0.02)


@pytest.mark.parametrize("onset", [5.08, 5.2, 5.6, 5.92])
def test_a_faint_flash_between_key_frames_is_found_as_if_nothing_drifted(onset: float) -> None:
    span = (onset, onset + 0.04)
    assert [one.start_seconds for one in closed(drifting(sky_light(3.4), span))] == pytest.approx([onset])


def test_steps_at_key_frames_that_are_taken_for_the_scene_hide_a_faint_flash() -> None:
    assert not closed(drifting(sky_light(3.4), (5.08, 5.12), rebased=False))


def test_a_flash_in_a_key_frame_is_found() -> None:
    assert [one.start_seconds for one in closed(drifting(sky_light(40.0), (5.0, 5.04)))] == pytest.approx([5.0])
