"""Lights at the same time: what is one flash, and what gets a candidate of its own."""

import pytest

from detector.candidate import Candidate
from helpers.scenes import Change, Picture, closed, frames, lit, patch, prefilter, sky_light, watch

FLASH = (1.6, 1.68)
GLARE = sky_light(0, rows=(0, 180)) + 0.25


def both(*changes: Change) -> Change:
    """All of them at once."""

    def change(when: float, quiet: Picture) -> Picture:
        for one in changes:
            quiet = one(when, quiet)
        return quiet

    return change


def lamp(start: float, end: float) -> Change:
    """A lamp on the ground."""
    return lit((start, end), light=patch(120, (140, 165), (200, 235)))


def insect(start: float, end: float) -> Change:
    """A bright streak that crosses the sky."""

    def change(when: float, quiet: Picture) -> Picture:
        left = int(20 + 500 * (when - start))
        return quiet + patch(120, (60, 80), (left, left + 35)) if start - 1e-6 <= when < end - 1e-6 else quiet

    return change


def headlights(start: float, seconds: float) -> Change:
    """A car's beam on the road that grows for as long, and is gone."""

    def change(when: float, quiet: Picture) -> Picture:
        share = (when - start) / seconds
        return quiet + patch(20 + 100 * share, (125, 175), (60, 220)) if -1e-6 <= share < 1 - 1e-6 else quiet

    return change


def insects(start: float, end: float) -> Change:
    """A short streak somewhere else in every frame."""

    def change(when: float, quiet: Picture) -> Picture:
        number = round(25 * (when - start))
        left, top = 40 + 97 * number % 240, 20 + 53 * number % 130
        streak = patch(120, (top, top + 25), (left, left + 30))
        return quiet + streak if start - 1e-6 <= when < end - 1e-6 else quiet

    return change


def cell(*spans: tuple[float, float], left: bool, veil: float = 0) -> Change:
    """A cell at one side of the sky; `veil` levels of its light are everywhere."""
    columns = (10, 110) if left else (200, 310)
    return lit(*spans, light=sky_light(60, rows=(10, 100), columns=columns) + veil)


def found(change: Change) -> list[Candidate]:
    return sorted(closed(frames(change, seconds=3.4)), key=lambda one: one.start_seconds)


def times(change: Change) -> list[tuple[float, float]]:
    return [(round(one.start_seconds, 2), round(one.end_seconds, 2)) for one in found(change)]


@pytest.mark.parametrize(
    ("other", "flash"),
    [
        pytest.param(lamp(1.2, 2.0), 1, id="a lamp that is on"),
        pytest.param(lamp(1.88, 2.6), 0, id="a lamp that comes on soon after it"),
        pytest.param(insect(1.36, 1.9), 1, id="an insect"),
        pytest.param(insect(1.8, 2.2), 0, id="an insect soon after it"),
    ],
)
def test_a_flash_beside_a_compact_light_has_its_own_times(other: Change, flash: int) -> None:
    seen = times(both(other, lit(FLASH, light=sky_light(70))))
    assert len(seen) == 2
    assert seen[flash] == FLASH


def test_a_flash_between_the_blinks_of_a_lamp_that_blinked_before_has_its_own_times() -> None:
    blinks = [lamp(start, start + 0.04) for start in (1.0, 1.6, 2.2, 2.8)]
    assert (2.48, 2.56) in times(both(*blinks, lit((2.48, 2.56), light=sky_light(70))))


def test_a_lamp_that_shone_evenly_once_is_known_when_it_comes_on_beside_a_flash() -> None:
    lamps = both(lamp(1.0, 1.4), lamp(2.24, 2.28))
    assert (2.0, 2.08) in times(both(lamps, lit((2.0, 2.08), light=sky_light(70))))


def test_a_known_lamp_of_a_twelfth_of_the_frame_does_not_date_a_flash_beside_it() -> None:
    wide = lit((1.0, 1.2), (1.8, 2.4), light=patch(120, (125, 175), (210, 304)))
    assert (2.0, 2.08) in times(both(wide, lit((2.0, 2.08), light=sky_light(70, rows=(0, 125)))))


@pytest.mark.parametrize(
    ("flash", "other"),
    [
        pytest.param((1.6, 1.68), both(lamp(0.9, 1.0), lamp(1.3, 1.4), lamp(1.74, 1.84)), id="a lamp's third blink"),
        pytest.param((1.6, 1.68), headlights(1.32, 0.4), id="headlights that come nearer"),
        pytest.param((1.6, 1.68), headlights(1.8, 0.4), id="headlights that come soon after it"),
        pytest.param((1.6, 1.68), insects(1.88, 2.2), id="insects at one place after the other, after it"),
        pytest.param((1.6, 1.68), insects(2.12, 2.5), id="insects just before the flash is over"),
        pytest.param((1.6, 1.68), insects(1.3, 2.0), id="insects all the while"),
        pytest.param(
            (1.6, 1.68), both(lamp(1.84, 2.2), lit((1.84, 2.2), light=GLARE)), id="a lamp whose glare is wide"
        ),
        pytest.param((1.6, 1.68), lamp(1.28, 1.32), id="a short light where the flash is faint, and outshines it"),
    ],
)
def test_what_comes_tells_a_small_light_from_a_stroke(flash: tuple[float, float], other: Change) -> None:
    assert flash in times(both(other, lit(flash, light=sky_light(70))))


def test_insects_from_the_last_frame_of_a_flash_on_lengthen_it_by_no_more_than_one() -> None:
    start, end = times(both(insects(1.64, 2.2), lit(FLASH, light=sky_light(70))))[0]
    assert (start, end) == (FLASH[0], pytest.approx(FLASH[1], abs=0.041))


def test_each_of_two_lights_is_told_once_when_it_opens_and_once_when_it_closes() -> None:
    told = [(one.id, one.open) for one in watch(frames(both(lamp(1.2, 2.0), lit(FLASH)), seconds=3.4))]
    assert len(told) == len(set(told)) == 4
    assert len({name for name, _ in told}) == 2


def test_the_light_of_a_lamp_is_not_measured_while_a_flash_outshines_it() -> None:
    lamp_alone, beside = found(lamp(1.2, 2.0))[0], found(both(lamp(1.2, 2.0), lit(FLASH, light=sky_light(70))))[0]
    assert beside.peak_rise_levels == pytest.approx(lamp_alone.peak_rise_levels, abs=5)
    assert beside.lit_fraction == pytest.approx(lamp_alone.lit_fraction, abs=0.005)


def test_a_lamp_in_the_light_of_a_flash_takes_in_none_of_it() -> None:
    def share(*strokes: tuple[float, float]) -> list[float]:
        sky_lamp = lit((1.2, 2.1), light=patch(150, (50, 90), (200, 240)))
        seen = found(both(sky_lamp, *(lit(stroke, light=sky_light(70)) for stroke in strokes)))
        return [one.lit_fraction for one in seen if one.start_seconds < 1.3]

    alone = share()
    assert share(FLASH) == pytest.approx(alone, abs=0.002)
    assert share(FLASH, (1.8, 1.88)) == pytest.approx(alone, abs=0.002)


def test_a_flash_at_the_end_of_a_recording_is_told_apart_from_a_small_light_before_it() -> None:
    change = both(lamp(1.28, 1.32), lit(FLASH, light=sky_light(70)))
    seen = closed(frames(change, seconds=1.8))
    assert [(round(one.start_seconds, 2), round(one.end_seconds, 2)) for one in seen][1:] == [FLASH]


def test_where_the_flash_has_its_longest_duration_a_light_in_question_beside_it_harms_nothing() -> None:
    small = lit((2.04, 2.08), light=patch(120, (5, 35), (5, 35)))
    storm = lit(*((1.2 + 0.16 * n, 1.24 + 0.16 * n) for n in range(6)))
    told = watch(frames(both(storm, small, lit((3.2, 3.28))), seconds=4), prefilter(max_candidate_seconds=0.9))
    assert sorted(one.id for one in told if one.open) == sorted(one.id for one in told if not one.open)
    assert any(one.start_seconds == pytest.approx(3.2) for one in told)


def test_two_cells_that_take_turns_and_do_not_reach_each_other_are_two_flashes() -> None:
    turns = both(cell((1.2, 1.28), (1.56, 1.64), left=True), cell((1.4, 1.48), (1.76, 1.84), left=False))
    first, second = found(turns)
    assert [len(first.pulses), len(second.pulses)] == [2, 2]
    assert [round(first.start_seconds, 2), round(second.start_seconds, 2)] == [1.2, 1.4]
    assert first.box[2] < 0.5 < second.box[0]


def test_under_a_veil_two_cells_are_one_flash_whose_pulses_tell_their_places() -> None:
    turns = both(
        cell((1.2, 1.28), (1.56, 1.64), left=True, veil=10), cell((1.4, 1.48), (1.76, 1.84), left=False, veil=10)
    )
    (one,) = found(turns)
    places = [pulse.centroid for pulse in one.pulses]
    assert [place is not None and place[0] < 0.5 for place in places] == [True, False, True, False]


@pytest.mark.parametrize(
    "flash",
    [
        pytest.param(
            both(
                lit((1.2, 1.24), light=sky_light(70, rows=(0, 60))),
                lit((1.24, 1.28), light=sky_light(70, rows=(62, 120))),
            ),
            id="the band of a rolling shutter, above and below",
        ),
        pytest.param(
            both(lit((1.2, 1.24), light=patch(60, (20, 50), (30, 70))), lit((1.6, 1.68), light=sky_light(70))),
            id="a stroke that begins weak and small",
        ),
        pytest.param(
            both(
                lit((1.2, 1.28), light=sky_light(70, columns=(0, 200))),
                lit((1.52, 1.56), light=patch(60, (20, 50), (260, 300))),
                lit((1.68, 1.76), light=sky_light(70)),
            ),
            id="a small stroke between two large ones",
        ),
        pytest.param(
            both(lit((1.28, 1.32), light=patch(120, (20, 50), (145, 175))), lit((1.6, 1.68), light=sky_light(70))),
            id="a bright small stroke where the flash is brightest, long before it",
        ),
        pytest.param(
            both(
                *(
                    lit((1.4 + 0.04 * n, 1.44 + 0.04 * n), light=patch(level, (20, 50), (145, 175)))
                    for n, level in enumerate((60, 110, 70, 120, 80, 100, 80))
                ),
                lit((1.6, 1.68), light=sky_light(110)),
            ),
            id="a channel that glows unsteadily where the flash is brightest",
        ),
        pytest.param(
            both(lit((1.52, 1.56), light=patch(120, (10, 40), (10, 40))), lit((1.6, 1.68), light=sky_light(70))),
            id="a bright small stroke elsewhere, right before it",
        ),
        pytest.param(
            both(lit((1.28, 1.32), light=patch(26, (0, 30), (0, 40))), lit((1.6, 1.68), light=sky_light(70))),
            id="a small stroke elsewhere that the flash outshines",
        ),
        pytest.param(
            both(lit((1.2, 1.28), light=sky_light(70)), lit((1.44, 1.6), light=patch(50, (30, 60), (140, 180)))),
            id="a small steady glow of its brightest place, after it",
        ),
        pytest.param(
            both(
                lit((1.2, 1.28), light=sky_light(70)),
                lit((1.44, 1.6), light=patch(110, (5, 35), (5, 35)) + sky_light(9)),
            ),
            id="a small steady light after it, with which all of it rises",
        ),
        pytest.param(
            both(
                lit((1.2, 1.28), light=sky_light(70)),
                lit((1.44, 1.48), light=patch(40, (5, 35), (5, 35))),
                lit((1.48, 1.52), light=patch(80, (5, 35), (5, 35))),
                lit((1.52, 1.56), light=patch(120, (5, 35), (5, 35))),
            ),
            id="a small stroke after it that takes three frames to rise",
        ),
        pytest.param(
            both(
                lit((1.2, 1.28), light=sky_light(70)),
                *[
                    lit((1.44 + 0.04 * n, 1.48 + 0.04 * n), light=patch(level, (5, 35), (5, 35)))
                    for n, level in enumerate((100, 110, 140, 170, 190))
                ],
            ),
            id="a small stroke after it that grows on after its first frame",
        ),
        pytest.param(
            both(
                lit((1.2, 1.28), light=sky_light(70)),
                *[
                    lit((1.44 + 0.04 * n, 1.48 + 0.04 * n), light=patch(50 + 40 * n, (5, 35), (5, 35)))
                    for n in range(4)
                ],
            ),
            id="a small stroke after it that grows for less than a fifth of a second",
        ),
        pytest.param(
            both(
                lit((1.2, 1.24), (1.6, 1.64), (1.84, 1.88), (2.0, 2.04), light=sky_light(50, rows=(0, 20))),
                lit((1.64, 1.68), light=sky_light(70)),
            ),
            id="a wide stroke of two frames among others of its upper part",
        ),
        pytest.param(insect(1.2, 1.7), id="what moves"),
        pytest.param(
            both(cell((1.2, 2.2), left=True), cell((1.6, 1.8), left=False)), id="what burns on while another one comes"
        ),
        pytest.param(lit((1.2, 1.28), (1.4, 1.48)), id="strokes of one place"),
    ],
)
def test_what_is_one_light_stays_one(flash: Change) -> None:
    assert len(found(flash)) == 1
