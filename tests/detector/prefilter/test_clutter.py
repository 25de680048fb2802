"""How many lights of the last minute shone alone or roamed, and of what that number is asked."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from detector.candidate import Candidate, CandidateContext
from detector.prefilter.recurrence import ClutterMemory
from detector.settings import load_settings
from detector.verify.photometric.clues import light_curve, shape
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.candidates import candidate
from helpers.scenes import HEIGHT, WIDTH, Picture, closed, frames, land, lit, marked, prefilter, sky_light

SHAPE = (36, 64)
WIDE = (30, 40)


def light(
    start: float = 10.0, *, side: tuple[int, int] = WIDE, around: float = 0.0, roams: float = 1.0, watched: float = 1.0
) -> Candidate:
    """A light of (rows, columns) `side` blocks that lit `roams` times as many, and a share of it all `around`."""
    made = candidate()
    ground = np.full(SHAPE, 30, np.float32)
    rise = np.full(SHAPE, 100 * around, np.float32)
    rise[2 : 2 + side[0], 2 : 2 + side[1]] = 100
    lit_map = np.zeros(SHAPE, np.bool_)
    lit_map.flat[: round(roams * side[0] * side[1])] = True
    share = np.full(3, side[0] * side[1] / (watched * lit_map.size), np.float32)
    return replace(
        made,
        start_seconds=start,
        background=ground,
        peak_map=ground + rise,
        lit_map=lit_map,
        curve=replace(made.curve, lit_fraction=share),
        context=CandidateContext(watched_share=watched),
    )


def counted(one: Candidate, seconds: float = 1.0) -> int:
    """How many lights the next one, `seconds` later, has as company where `one` came first."""
    company = ClutterMemory()
    assert company.add(one) == 0
    return company.add(light(one.start_seconds + seconds))


def test_each_light_is_told_how_many_of_its_kind_came_before_it() -> None:
    company = ClutterMemory()
    assert [company.add(light(start, side=(3, 3))) for start in range(5)] == [0, 1, 2, 3, 4]
    assert [company.add(light(start)) for start in (5, 6)] == [5, 5]


def test_a_light_about_which_nothing_glows_is_company_and_one_whose_cloud_glows_is_none() -> None:
    assert counted(light(side=(10, 14))) == 1  # with its edge a twelfth of the picture
    assert counted(light(side=(12, 16))) == 0  # more than a tenth
    assert counted(light(side=(6, 6), around=0.15)) == 0
    assert counted(light(side=(6, 6), around=0.07)) == 1


def test_a_light_that_lights_one_place_after_the_other_is_company_and_two_parts_of_a_stroke_are_none() -> None:
    assert counted(light(side=(12, 40), roams=2.3)) == 1
    assert counted(light(side=(12, 40), roams=1.9)) == 0


@pytest.mark.parametrize(("seconds", "company"), [(50, 1), (70, 0)])
def test_company_is_remembered_for_a_minute(seconds: float, company: int) -> None:
    assert counted(light(side=(3, 3)), seconds) == company


def test_elsewhere_there_is_no_company_yet() -> None:
    company = ClutterMemory()
    company.add(light(side=(3, 3)))
    company.forget()
    assert company.add(light()) == 0


def test_a_light_roams_by_how_much_more_it_lit_than_its_largest_frame_shows_of_what_is_watched() -> None:
    assert light(side=(12, 20), roams=2.5).roaming == pytest.approx(2.5)
    assert light(side=(12, 20), roams=2.5, watched=0.5).roaming == pytest.approx(2.5)
    assert light_curve.spatial_spread(CandidateFeatures(light(side=(12, 20), roams=2.5))) == pytest.approx(2.5)
    assert light(side=(0, 0), roams=0).roaming == 0


def test_a_lamp_that_stays_does_not_roam_though_only_its_first_moment_counts_as_a_flash() -> None:
    lamp = sky_light(60, rows=(0, 60))

    def coming(when: float, quiet: Picture) -> Picture:
        return quiet + lamp * np.float32(0.3 if when < 2.04 - 1e-6 else 1) if when >= 2 - 1e-6 else quiet

    (found,) = closed(frames(coming, seconds=4))
    assert found.roaming < 1.5


def glowing(columns: int) -> Picture:
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    light[20:90, 40 : 40 + columns] = 60
    return light


@cache
def seen(columns: int, ground: float = 30) -> Candidate:
    return closed(frames(lit((2.0, 2.04), light=glowing(columns)), scene=land() * 0 + ground))[0]


def asked(one: Candidate) -> float | None:
    return shape.recent_clutter(CandidateFeatures(replace(one, context=replace(one.context, recent_clutter=7))))


def test_company_is_asked_of_a_light_whose_glow_ends_soon_and_not_of_one_that_reaches_far() -> None:
    near, far = seen(170), seen(232)
    assert shape.glow_extent(CandidateFeatures(near)) == pytest.approx(0.163, abs=0.005)
    assert shape.glow_extent(CandidateFeatures(far)) == pytest.approx(0.22, abs=0.01)
    assert asked(near) == 7
    assert asked(far) is None
    assert shape.recent_clutter(CandidateFeatures(replace(near, context=CandidateContext()))) == 0


def coloured(one: Candidate) -> Candidate:
    """The same of a camera that shows everything in one pale blue."""

    def blue(_side: int | None) -> np.ndarray:  # type: ignore[type-arg]
        return np.full((90, 160, 3), (140, 150, 165), np.uint8)

    assert one.before is not None
    return replace(one, before=replace(one.before, color=blue), peak=replace(one.peak, color=blue))


def test_by_day_neither_reach_nor_company_is_asked_and_grey_pictures_are_infra_red_light() -> None:
    for ground, in_colour, by_day in ((105, True, False), (155, True, True), (155, False, False)):
        one = coloured(seen(170, ground)) if in_colour else seen(170, ground)
        assert (shape.glow_extent(CandidateFeatures(one)) is None) == by_day
        assert (asked(one) is None) == by_day


@pytest.mark.parametrize(
    ("levels", "share", "by_day"),
    [
        pytest.param(136, 0.3, True, id="a sky over a dark wood"),
        pytest.param(136, 0.2, False, id="lit walls"),
        pytest.param(120, 1.0, False, id="dusk"),
    ],
)
def test_it_is_day_where_a_quarter_of_the_picture_is_bright_before_the_light(
    levels: float, share: float, *, by_day: bool
) -> None:
    one = coloured(seen(170))
    ground = np.full(SHAPE, 60, np.float32)
    ground.flat[: round(share * ground.size)] = levels
    one = replace(one, background=ground, peak_map=ground + 100)
    assert (shape.glow_extent(CandidateFeatures(one)) is None) == by_day
    assert (asked(one) is None) == by_day


def spots(when: float, quiet: Picture) -> Picture:
    """Every second a small light for a frame, each in another place."""
    number = int(when + 1e-6)
    spot = sky_light(90, rows=(40, 62), columns=(20 + 37 * (number % 7), 46 + 37 * (number % 7)))
    return quiet + spot if number >= 2 and when - number < 0.03 else quiet


def test_the_camera_counts_its_small_lights_until_it_looks_elsewhere() -> None:
    def company(**fields: object) -> list[float]:
        return [one.context.recent_clutter for one in closed(marked(frames(spots, seconds=8), **fields), prefilter())]

    assert company() == [0, 1, 2, 3, 4, 5]
    assert company(epoch=lambda frame: int(frame.seconds >= 4.6)) == [0, 1, 2, 0, 1]  # one came too soon after the cut
    assert company(quality=lambda frame: ("packet_loss",) if frame.seconds >= 4.6 else ()) == [0, 1, 2, 3, 4, 5]


def test_where_small_lights_come_and_go_a_compact_light_is_rejected_that_alone_would_pass() -> None:
    def compact(when: float, quiet: Picture) -> Picture:
        return quiet + glowing(170) if abs(when - 11.52) < 0.01 else quiet

    def among(when: float, quiet: Picture) -> Picture:
        return compact(when, spots(when, quiet) if when < 11 else quiet)

    verifier = PhotometricVerifier(load_settings().photometric)
    (alone,) = verifier.verify(closed(frames(compact, seconds=12.5)))
    *others, tenth = verifier.verify(closed(frames(among, seconds=12.5)))
    assert len(others) == 9
    assert alone.lightning
    assert not tenth.lightning


def test_a_light_that_the_end_of_a_recording_cuts_off_is_told_its_company_too() -> None:
    insect = sky_light(90, rows=(40, 62), columns=(150, 176))
    first, last = closed(frames(lit((1.0, 1.04), (2.0, 2.3), light=insect), seconds=2.2))
    assert last.context.cut_off
    assert (first.context.recent_clutter, last.context.recent_clutter) == (0, 1)


def test_a_light_that_damage_cuts_off_is_company_of_the_next() -> None:
    insect = sky_light(90, rows=(40, 62), columns=(150, 176))
    source = frames(lit((1.0, 1.3), (3.0, 3.04), light=insect), seconds=3.8)
    damaged = marked(source, quality=lambda frame: ("packet_loss",) if frame.seconds >= 1.2 else ())
    assert [(one.context.cut_off, one.context.recent_clutter) for one in closed(damaged)] == [(1, 0), (0, 1)]
