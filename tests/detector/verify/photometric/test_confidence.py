"""The probability of a verdict tells how far its clues are from their bounds, and never contradicts it."""

import pytest

from detector.settings import load_settings
from detector.verify.photometric.clue import Clue
from detector.verify.photometric.confidence import confidence
from detector.verify.photometric.registry import CLUES
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import closed, frames, lit, sky_light

CLEAR = {clue.key: clue.clear for clue in CLUES}


@pytest.mark.parametrize("clue", CLUES, ids=lambda clue: clue.key)
def test_the_further_a_clue_is_from_its_bounds_the_surer_the_verdict(clue: Clue) -> None:
    steps = [clue.against + share * (clue.clear - clue.against) for share in (-0.5, 0.0, 0.5, 1.0, 1.5, 2.5)]
    told = [confidence(CLUES, CLEAR | {clue.key: value}, lightning=True, threshold=0.0) for value in steps]
    assert told == sorted(told)
    assert len(set(told)) == len(told)


def test_a_clue_that_could_not_be_measured_makes_neither_sure_nor_doubtful() -> None:
    without = {key: value for key, value in CLEAR.items() if key != "specks"}
    few, unknown, some = (
        confidence(CLUES, evidence, lightning=True, threshold=0.0)
        for evidence in (CLEAR | {"specks": 0.0}, without, CLEAR | {"specks": 12.0})
    )
    assert few > unknown > some


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_the_probability_is_on_the_side_of_the_threshold_where_the_verdict_is(threshold: float) -> None:
    doubtful = {clue.key: clue.against for clue in CLUES}
    assert confidence(CLUES, doubtful, lightning=True, threshold=threshold) == threshold
    assert confidence(CLUES, {}, lightning=False, threshold=threshold) < threshold


def test_confirmed_flashes_differ_in_how_sure_they_are() -> None:
    """A light in the sky is surer than one that is nearly as low as lamps are, and both are confirmed."""
    verifier = PhotometricVerifier(load_settings().photometric)
    low = sky_light(60, rows=(80, 178), columns=(90, 230)) + sky_light(9)
    told = [verifier.verify(closed(frames(lit((2.0, 2.04), light=one))))[0] for one in (sky_light(60), low)]
    assert [verdict.state for verdict in told] == ["confirmed", "confirmed"]
    assert (told[0].probability or 0) > (told[1].probability or 1) + 0.005
