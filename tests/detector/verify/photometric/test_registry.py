"""The list of clues: its keys, its weights, and weights given from outside."""

from typing import Any

import pytest

from detector.candidate import Candidate
from detector.errors import SettingsError
from detector.settings import load_settings
from detector.verify.photometric.clue import Clue, clue
from detector.verify.photometric.clues import colour, light_curve, scene, shape
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.registry import CLUES, Weight, weighted
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import closed, frames, lit

PHOTOMETRIC = load_settings().photometric
KEYS = (
    "positivity", "fine_positivity", "fallen_share", "went_dark", "scene_changed", "detail_kept", "unevenness",
    "suddenness", "gain_likeness", "gain_elsewhere", "filter_swing", "shift_likeness", "seen_before",
    "smoothness", "specks", "show",
    "overlap", "travel", "roaming", "company", "steadiness", "regularity", "blinks", "burning", "sustained",
    "colour_lost", "warmth", "hue_spread", "greenness", "height", "lamplight", "reach", "sky_share", "size",
)  # fmt: skip
"""Evidence keys that users rely on, in the order of a verdict."""


@pytest.fixture(scope="module")
def lamp() -> Candidate:
    """A light that comes on and stays."""
    return closed(frames(lit((2.0, 9.0)), seconds=5))[0]


def test_the_evidence_keys_and_their_order_are_those_that_users_rely_on() -> None:
    assert tuple(one.key for one in CLUES) == KEYS


def test_every_clue_that_is_written_counts() -> None:
    written = [
        one for module in (scene, light_curve, shape, colour) for one in vars(module).values() if type(one) is Clue
    ]
    assert {one.key for one in written} == set(KEYS)


def test_each_clue_has_a_meaning_and_a_doubt_of_its_own() -> None:
    for text in ("meaning", "doubt"):
        assert len({getattr(one, text) for one in CLUES} - {""}) == len(CLUES)


def test_a_weight_from_outside_changes_what_its_clue_costs_and_nothing_else(lamp: Candidate) -> None:
    shipped = PhotometricVerifier(PHOTOMETRIC).verify([lamp])[0]
    mild = PhotometricVerifier(PHOTOMETRIC, weights={"fallen_share": {"cost": 0.0}}).verify([lamp])[0]
    assert mild.evidence == shipped.evidence
    assert shipped.probability is not None
    assert mild.probability is not None
    assert mild.probability > shipped.probability
    assert "fallen_share" in (shipped.reason or "")
    assert "fallen_share" not in (mild.reason or "")


def test_bounds_from_outside_move_where_a_clue_speaks_against_lightning() -> None:
    weights: dict[str, Weight] = {"size": {"against": 0.5, "clear": 0.9}}
    (size,) = (one for one in weighted(weights) if one.key == "size")
    assert size.log_odds(0.5) == -shape.size.cost
    assert size.log_odds(0.9) == 0
    assert [one.key for one in weighted(weights)] == list(KEYS)


def test_a_list_of_clues_takes_the_place_of_the_shipped_ones(lamp: Candidate) -> None:
    @clue("brightness", meaning="mean level", doubt="it is dark", against=0.0, clear=1.0, cost=1.0)
    def brightness(features: CandidateFeatures) -> float | None:
        return float(features.candidate.background.mean())

    verdict = PhotometricVerifier(PHOTOMETRIC, weights=[shape.size, brightness]).verify([lamp])[0]
    assert list(verdict.evidence) == ["size", "brightness"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        pytest.param({"speks": {"cost": 1.0}}, "no clue is called 'speks'; did you mean 'specks'", id="misspelt key"),
        pytest.param({"zzz": {"cost": 1.0}}, "no clue is called 'zzz'; choose of positivity, ", id="unknown key"),
        pytest.param({"specks": {"costs": 1.0}}, "specks: a weight has no 'costs'; did you mean 'cost'", id="field"),
        pytest.param({"specks": {"key": "x"}}, "specks: a weight has no 'key'; choose of against, ", id="no weight"),
        pytest.param({"specks": {"cost": -1.0}}, "specks: cost -1 and favour 0 must be 0 or more", id="negative"),
        pytest.param({"specks": {"clear": 17.0}}, "specks: against and clear are both 17", id="no width"),
        pytest.param({"specks": {"cost": float("nan")}}, "specks: .*must be finite numbers", id="not a number"),
        pytest.param({"specks": {"cost": "much"}}, "specks: ", id="a word"),
        pytest.param([shape.size, shape.size], "2 clues are called 'size'", id="twice"),
    ],
)
def test_weights_that_cannot_be_used_are_named(weights: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=f"photometric weights.*{message}"):
        PhotometricVerifier(PHOTOMETRIC, weights=weights)
