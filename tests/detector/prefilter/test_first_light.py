"""Light that is on in the first frame of a recording."""

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from helpers.scenes import Picture, closed, frames, lit, marked, patch, sky_light, still


def first(found: list[Candidate]) -> list[Candidate]:
    return [candidate for candidate in found if not candidate.context.frames_before]


@pytest.mark.parametrize("seconds", [0.9, 4.0])
def test_a_flash_on_the_first_frame_is_found_by_hindsight(seconds: float) -> None:
    (flash,) = closed(frames(lit((0.0, 0.04), (0.12, 0.2)), seconds=seconds))
    assert flash.start_seconds == 0.0
    assert flash.end_seconds == pytest.approx(0.2)
    assert len(flash.pulses) == 2
    assert flash.context.frames_before == 0
    assert not flash.open


def test_a_flash_later_on_is_found_beside_it() -> None:
    found = closed(frames(lit((0.0, 0.04), (2.0, 2.08)), seconds=4))
    assert [round(one.start_seconds, 2) for one in found] == [0.0, 2.0]


def test_a_quiet_beginning_is_no_flash() -> None:
    assert not closed(frames(still))


def test_an_exposure_that_settles_is_no_flash() -> None:
    def settling(when: float, quiet: Picture) -> Picture:
        return quiet * (1 + 1.5 * np.exp(-when / 0.2))

    assert not first(closed(frames(settling)))


def test_a_light_that_stays_on_for_longer_than_a_flash_is_none() -> None:
    assert not first(closed(frames(lit((0.0, 1.6)), seconds=4)))


def test_a_cut_to_another_scene_is_no_flash() -> None:
    def cut(when: float, quiet: Picture) -> Picture:
        return np.roll(quiet, 97, axis=1) if when < 0.2 else quiet

    assert not first(closed(frames(cut)))


def test_a_scene_that_moves_anyway_is_no_flash() -> None:
    rng = np.random.default_rng(4)

    def car(when: float, quiet: Picture) -> Picture:
        left = int(300 * when) % 260
        return quiet + patch(60, (140, 160), (left, left + 40)) + rng.choice([0, 9], quiet.shape)

    assert not first(closed(frames(car)))


def test_a_damaged_beginning_is_no_flash() -> None:
    damaged = marked(frames(lit((0.0, 0.04))), quality=lambda frame: ("decode_error",) if frame.number < 5 else ())
    assert not first(closed(damaged))


def test_hidden_parts_of_the_frame_do_not_flash() -> None:
    watcher = Prefilter("roof", load_settings([]).prefilter, region=(0.0, 0.8, 1.0, 1.0))
    assert not closed(frames(lit((0.0, 0.04), light=sky_light(60, rows=(0, 90)))), watcher)
