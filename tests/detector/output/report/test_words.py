"""Words for clues, times and clocks."""

import pytest

from detector.output.report.words import (
    CLUE_READINGS,
    clock_words,
    doubts,
    in_recording,
    length,
    percent,
    reasons,
    time_of_day,
    told_reasons,
)
from detector.verify.photometric.registry import CLUES
from helpers.storms import START, made_flash


def test_every_clue_reads_as_the_photometric_verifier_means_it() -> None:
    assert {clue.key: (clue.doubt, clue.against, clue.clear) for clue in CLUES} == {
        key: (reading.doubt, reading.against, reading.clear) for key, reading in CLUE_READINGS.items()
    }


def test_a_doubt_is_told_with_its_weight_and_the_heaviest_comes_first() -> None:
    flash = made_flash(1.0, evidence={"positivity": 1.0, "steadiness": 0.75, "warmth": 0.45, "size": 0.09})
    assert [(one.words, one.clue) for one in doubts(flash)] == [
        ("its light is warm, as that of lamps", "warmth"),
        ("it shone evenly, as lamps do", "steadiness"),
    ]


def test_the_reason_of_a_verdict_is_told_without_its_numbers() -> None:
    flash = made_flash(
        1.0, state="rejected", reason="it grew slowly (suddenness 0.2); it is low in the picture (height 0.9)"
    )
    assert told_reasons(flash) == ("it grew slowly", "it is low in the picture")


@pytest.mark.parametrize(
    ("lit", "bolt", "expected"),
    [
        (0.6, True, "bolt seen"),
        (0.6, False, "cloud glow"),
        (0.02, False, "far glow"),
        (0.6, None, "lit 60\N{NO-BREAK SPACE}% of the frame"),
    ],
)
def test_what_the_picture_shows_is_the_first_reason(lit: float, bolt: bool | None, expected: str) -> None:
    assert reasons(made_flash(1.0, lit=lit), bolt=bolt)[0] == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.26, "4.3 s"), (59.4, "59 s"), (60, "1 min 0 s"), (119.7, "2 min 0 s"), (7261, "2 h 1 min")]
)
def test_lengths_of_time_never_show_sixty_seconds(seconds: float, text: str) -> None:
    assert length(seconds) == text


def test_a_time_of_day_does_not_round_into_a_second_that_is_not_there() -> None:
    assert time_of_day(START + 39.9996, digits=3) == "19:15:00.000"
    assert in_recording(59.999, 2) == "1:00.00"


def test_a_percentage_claims_neither_nothing_nor_more_than_is_known() -> None:
    assert percent(0.002) == "under 1\N{NO-BREAK SPACE}%"
    assert clock_words("rtcp", 4.8) == "Clock from the camera's sender reports: within 5 ms"
    assert clock_words("file", None) == "Clock from the files: to the second, unchecked"
