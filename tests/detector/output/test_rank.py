"""The rank of a flash: how much there is to see of it."""

from dataclasses import replace
from typing import get_args

import pytest

from detector.candidate import Candidate
from detector.output.rank import rank_of
from helpers.scenes import closed
from storm import FlashPlan, Plan, Scene
from storm.flashes import FlashKind


def candidate(kind: str, **more: float) -> Candidate:
    assert kind in get_args(FlashKind)
    flash = FlashPlan(kind=kind, at=2.0, **({"rise": 60.0} | more))  # type: ignore[arg-type]
    return closed(Scene(Plan(seconds=4, size=(320, 180), land="hills", seed=11, flashes=(flash,))).stream_frames())[0]


def rank(one: Candidate) -> float:
    return rank_of(one.structure, one.peak_rise_levels, one.lit_fraction)


def test_a_channel_comes_before_a_lit_cloud_and_a_strong_light_before_a_weak_one() -> None:
    bolt, sheet, weak = candidate("bolt"), candidate("sheet"), candidate("sheet", rise=15.0)
    assert 1 > rank(bolt) > rank(sheet) > rank(weak) > 0


def test_of_lights_of_one_strength_the_larger_one_comes_first() -> None:
    one = replace(candidate("sheet"), structure=0.0)
    assert rank(replace(one, lit_fraction=1.0)) > rank(replace(one, lit_fraction=0.1))


@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0), (255.0, 297.0, 1.0)])
def test_a_rank_is_between_none_and_all(values: tuple[float, float, float]) -> None:
    assert 0 <= rank_of(*values) < 1
