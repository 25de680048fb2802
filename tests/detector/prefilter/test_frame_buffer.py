"""The frames that are kept to compare a new one with."""

import weakref
from dataclasses import replace

import numpy as np
import pytest

from detector.prefilter.frame_buffer import FrameBuffer, spaced_pair
from stream import Frame


def frame(number: int, rate: float, height: int = 4) -> Frame:
    return Frame("roof", number, number / rate, 1 / rate, np.zeros((height, 4), np.uint8))


@pytest.mark.parametrize("rate", [5, 25, 240])
def test_one_whole_picture_is_kept_at_every_rate_and_it_is_hardly_older_than_asked_for(rate: int) -> None:
    frames, alive = FrameBuffer(0.05), []
    for number in range(2 * rate):
        if frames.reference is not None:
            assert 0 < number / rate - frames.reference.seconds <= 0.05 + 1 / rate + 1e-6
        one = frame(number, rate)
        alive.append(weakref.ref(one.luma))
        frames.remember(one, quiet=False)
        del one
    assert sum(reference() is not None for reference in alive) == 1


def test_thin_copies_of_quiet_pictures_reach_a_second_back_and_are_small_whatever_the_size() -> None:
    frames = FrameBuffer(0.05)
    for number in range(50):
        frames.remember(frame(number, 25, height=2160), quiet=number != 49)
    assert [one.seconds for one in frames.history] == pytest.approx([0.84, 1.12, 1.4, 1.68])
    assert all(one.luma.shape[0] <= 200 for one in frames.history)
    assert frames.history[-1].seconds < 49 / 25


def test_thin_copies_have_the_rows_that_a_closer_look_needs_and_do_not_hold_what_they_were_made_of() -> None:
    frames, alive = FrameBuffer(0.05), []
    for number in range(50):
        one = replace(frame(number, 25, height=1080), color=lambda _side: np.zeros((2, 2, 3), np.uint8))
        alive.append(weakref.ref(one.luma))
        frames.remember(one, quiet=True)
        del one
    assert all(one.luma.shape[0] >= 180 for one in frames.history)
    assert all(one.color is None for one in frames.history)  # a colour holds the decoder's picture
    assert sum(reference() is not None for reference in alive) == 1


@pytest.mark.parametrize("rate", [12, 20, 60])
def test_thin_copies_are_a_quarter_of_a_second_apart_where_the_rate_allows_it(rate: int) -> None:
    frames = FrameBuffer(0.05)
    for number in range(1, 10 * rate):
        frames.remember(frame(number, rate), quiet=True)
        assert np.diff([one.seconds for one in frames.history]) == pytest.approx([0.25] * (len(frames.history) - 1))


def test_light_is_never_taken_for_what_the_scene_does_by_itself() -> None:
    frames = FrameBuffer(0.05)
    for number in range(50):
        frames.remember(frame(number, 25), quiet=False)
    assert frames.history == ()


def test_two_pictures_are_as_far_apart_as_asked_for_or_as_far_as_can_be() -> None:
    kept = [frame(number, 4) for number in range(4)]
    for seconds, first in ((0.05, 2), (0.25, 2), (0.3, 1), (9.0, 0)):
        pair = spaced_pair(kept, seconds)
        assert pair is not None
        assert [one.number for one in pair] == [first, 3]
    assert spaced_pair(kept[:1], 0.05) is None


def test_what_comes_after_a_light_without_an_end_is_compared_with_what_was_before_it() -> None:
    frames, before = FrameBuffer(0.05), frame(3, 25)
    frames.resume(4.0, before)
    assert frames.reference is not None
    assert frames.reference.luma is before.luma
    assert frames.reference.seconds == 4.0


def test_pictures_of_before_a_cut_are_forgotten() -> None:
    frames = FrameBuffer(0.05)
    for number in range(50):
        frames.remember(frame(number, 25), quiet=True)
    frames.forget()
    assert frames.history == ()
    assert frames.reference is None


def test_a_closer_look_compares_with_the_picture_of_before_that_is_held_now() -> None:
    def flat(number: int, luma: int) -> Frame:
        return replace(frame(number, 25), luma=np.full((180, 320), luma, np.uint8))

    def rise() -> float:
        change = frames.change_to(flat(10, 116))
        assert change is not None
        return float(change.difference.mean()) * 219 / 255

    frames = FrameBuffer(0.05)
    assert frames.change_to(flat(0, 116)) is None
    frames.remember(flat(0, 36), quiet=True)
    assert rise() == pytest.approx(80, abs=0.1)
    frames.remember(flat(4, 66), quiet=True)
    assert rise() == pytest.approx(50, abs=0.1)
    frames.resume(1.0, flat(5, 46))
    assert rise() == pytest.approx(70, abs=0.1)
    frames.forget()
    assert frames.change_to(flat(0, 116)) is None
