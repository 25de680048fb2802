"""What counts as an onset of light, what joins an open flash, and what the time after it is measured against."""

from dataclasses import replace

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from helpers.scenes import (
    HEIGHT,
    WIDTH,
    Picture,
    closed,
    frames,
    land,
    lit,
    marked,
    patch,
    prefilter,
    sky_light,
    still,
    watch,
)

SKY = sky_light(60, rows=(0, 90))


def starts(found: list[Candidate]) -> list[float]:
    return [round(candidate.start_seconds, 2) for candidate in found]


def test_a_flash_is_found_while_other_light_grows() -> None:
    def headlights(when: float, quiet: Picture) -> Picture:
        growing = patch(24 * max(0.0, when - 1.7), (130, 170), (20, 260))
        return lit((1.9, 1.96), light=sky_light(80, rows=(0, 60)))(when, quiet + growing)

    assert starts(closed(frames(headlights, seconds=2.6, rate=30, noise=1))) == [1.9]


@pytest.mark.parametrize("start", [1.88, 2.0, 2.2])
def test_a_small_flash_is_found_beside_a_larger_cloud_that_has_been_growing_brighter_for_a_while(start: float) -> None:
    def moonrise(when: float, quiet: Picture) -> Picture:
        cloud = patch(20 * max(0.0, when - 1) ** 2, (100, 150), (20, 300))
        return lit((start, start + 0.04), light=patch(40, (20, 50), (100, 160)))(when, quiet + cloud)

    assert starts(closed(frames(moonrise, seconds=2.8, noise=0.3))) == [start]


def test_the_second_picture_of_a_recording_is_measured_by_little_trust() -> None:
    assert not watch(frames(lit((0.04, 2.0), light=sky_light(0) + 9), seconds=0.4, noise=1))
    assert starts(closed(frames(lit((0.04, 0.12), light=sky_light(25)), seconds=1.2, noise=1))) == [0.04]


def test_what_moves_while_a_flash_is_bright_is_no_light_of_it() -> None:
    def car(when: float, quiet: Picture) -> Picture:
        left = int(20 + 400 * (when - 1.2))
        picture = lit((1.2, 1.6), light=SKY)(when, quiet)
        return picture + patch(50, (150, 165), (left, left + 40)) if when >= 1.36 else picture

    flash = next(one for one in closed(frames(car, seconds=2.2, noise=1)) if one.start_seconds == pytest.approx(1.2))
    assert flash.box[3] < 0.6
    assert flash.end_seconds == pytest.approx(1.6)


@pytest.mark.parametrize(("contrast", "levels"), [(120, 60), (4.5, 12)])
def test_what_leaves_a_dark_place_behind_while_a_flash_is_bright_is_no_light_of_it(
    contrast: float, levels: float
) -> None:
    scene = land() + patch(contrast, (130, 160), (40, 100))

    def truck(when: float, quiet: Picture) -> Picture:
        moved = patch(-contrast, (130, 160), (40, 100)) + patch(contrast, (130, 160), (180, 240))
        glow = lit((1.2, 1.4), light=sky_light(levels, rows=(20, 60), columns=(60, 160)))
        return glow(when, quiet + moved if when >= 1.28 else quiet)

    assert closed(frames(truck, scene=scene, seconds=2.2, noise=1))[0].box[3] < 0.5


@pytest.mark.parametrize(("side", "noise", "joins"), [((20, 20), 1, True), ((20, 20), 12, True), ((10, 10), 1, False)])
def test_a_stroke_beside_one_that_still_shines_needs_half_the_blocks_of_an_onset(
    side: tuple[int, int], noise: float, joins: bool
) -> None:
    first, second = patch(40, (20, 45), (40, 75)), patch(120, (20, 20 + side[0]), (200, 200 + side[1]))

    def strokes(when: float, quiet: Picture) -> Picture:
        return lit((1.2, 1.36), light=first)(when, lit((1.28, 1.36), light=second)(when, quiet))

    assert (closed(frames(strokes, seconds=2.2, noise=noise))[0].box[2] > 0.5) == joins


@pytest.mark.parametrize("noise", [0, 2, 6])
def test_a_stroke_joins_another_though_the_first_has_lowered_the_exposure_for_good(noise: float) -> None:
    first, second = patch(90, (20, 45), (40, 75)), patch(160, (20, 45), (200, 240))

    def strokes(when: float, quiet: Picture) -> Picture:
        dipped = quiet - 12 if when >= 1.32 - 1e-6 else quiet
        return lit((1.2, 1.52), light=first)(when, lit((1.44, 1.48), light=second)(when, dipped))

    assert closed(frames(strokes, scene=land(60), seconds=2.4, noise=noise))[0].box[2] > 0.5


def test_what_moves_is_no_light_of_a_flash_of_which_another_part_goes_out_just_then() -> None:
    scene = land() + patch(120, (130, 160), (40, 100))

    def truck(when: float, quiet: Picture) -> Picture:
        moved = patch(-120, (130, 160), (40, 100)) + patch(120, (130, 160), (180, 240)) if when >= 1.28 - 1e-6 else 0
        fading = sky_light(0 if not 1.2 - 1e-6 <= when < 1.4 else 180 if when < 1.28 - 1e-6 else 60, rows=(20, 80))
        return quiet + fading + moved

    assert closed(frames(truck, scene=scene, seconds=2.2, noise=1))[0].box[3] < 0.5


def test_a_stroke_joins_another_though_something_darkens_where_nobody_watches() -> None:
    first, second, lamp = (
        patch(90, (20, 45), (40, 75)),
        patch(60, (20, 45), (200, 240)),
        patch(90, (130, 170), (0, 300)),
    )
    ground = ((0.0, 0.6), (1.0, 0.6), (1.0, 1.0), (0.0, 1.0))

    def strokes(when: float, quiet: Picture) -> Picture:
        picture = quiet + (lamp if when < 1.28 - 1e-6 else 0)
        return lit((1.2, 1.36), light=first)(when, lit((1.28, 1.36), light=second)(when, picture))

    watcher = Prefilter("roof", load_settings().prefilter, mask=(ground,))
    assert closed(frames(strokes, seconds=2.2, noise=1), watcher)[0].box[2] > 0.5


@pytest.mark.parametrize("noise", [1, 4])
def test_the_pauses_of_a_storm_that_is_on_when_a_recording_begins_teach_its_noise(noise: float) -> None:
    strokes = np.cumsum([0.4, *(0.04 * np.random.default_rng(7).integers(5, 13, 16))])
    faint = float(strokes[-1]) + 0.64
    storm = lit(*((start, start + 0.04) for start in strokes), light=sky_light(90))

    def change(when: float, quiet: Picture) -> Picture:
        return lit((faint, faint + 0.04), light=sky_light(3.5))(when, storm(when, quiet))

    found = closed(frames(change, seconds=faint + 0.8, noise=noise))
    assert starts(found) == [0.4, round(faint, 2)]


def test_a_change_of_size_right_after_a_light_that_stays_is_another_scene() -> None:
    watcher, found = prefilter(), []
    for frame in frames(lit((1.2, 9.0)), seconds=4):
        luma = frame.luma if not any(not one.open for one in found) else frame.luma[:, : WIDTH // 2]
        found += watcher.push(replace(frame, luma=luma))
    assert [one.open for one in found] == [True, False]
    assert watcher.watched.shape != found[0].lit_map.shape


def test_a_flash_that_the_end_cuts_off_says_nothing_of_how_often_its_place_blinks() -> None:
    for end, cut_off in ((1.4, True), (2.2, False)):
        (found,) = closed(frames(lit((1.2, 1.36)), seconds=end))
        assert (found.context.periodic_repeats is None) == cut_off


def test_after_a_while_a_scene_that_stays_darker_than_before_a_flash_is_the_new_one() -> None:
    def city(when: float, quiet: Picture) -> Picture:
        dark = quiet * np.float32(0.6) if when >= 1.28 else quiet
        return lit((1.2, 1.28), light=sky_light(90))(when, lit((5.0, 5.08), light=sky_light(25))(when, dark))

    assert starts(closed(frames(city, scene=land(90), seconds=5.8))) == [1.2, 5.0]


@pytest.mark.parametrize("levels", [4.5, 60])
def test_an_exposure_that_dips_in_the_bright_part_of_a_dark_picture_comes_back_without_a_flash(levels: float) -> None:
    scene = np.zeros((HEIGHT, WIDTH), np.float32)
    scene[120:] = 100

    def dip(when: float, quiet: Picture) -> Picture:
        lost = patch(levels, (120, HEIGHT), (0, WIDTH)) if 1.28 <= when < 2.4 else 0
        return lit((1.2, 1.28), light=sky_light(90, rows=(0, 90)))(when, quiet - lost)

    assert starts(closed(frames(dip, scene=scene, seconds=3.2, noise=1))) == [1.2]


def test_a_lamp_that_goes_out_with_a_flash_is_seen_to_come_on_again() -> None:
    def lamp(when: float, quiet: Picture) -> Picture:
        out = 1.28 <= when < 2.4
        return lit((1.2, 1.28), light=SKY)(when, quiet + (0 if out else patch(100, (140, 165), (100, 180))))

    assert starts(closed(frames(lamp, seconds=3.2, noise=1))) == [1.2, 2.4]


def test_a_small_light_right_after_opening_needs_more_blocks_than_later() -> None:
    small = patch(40, (40, 65), (100, 130))  # 30 blocks of 2304
    assert starts(closed(frames(lit((0.28, 0.32), (2.0, 2.04), light=small), seconds=2.8))) == [2.0]


def test_one_block_is_no_flash_however_small_the_watched_part_is() -> None:
    def found(columns: tuple[int, int]) -> list[float]:
        watcher = Prefilter("roof", load_settings().prefilter, region=(0.0, 0.0, 0.156, 0.167))
        light = patch(60, (10, 15), columns)
        return starts(closed(frames(lit((2.0, 2.04), light=light), seconds=2.8), watcher))

    assert not found((10, 15))
    assert found((10, 25)) == [2.0]


def test_a_storm_goes_on_where_the_bound_of_one_candidate_ends() -> None:
    def storm(when: float, quiet: Picture) -> Picture:
        since = when - 1.2
        return quiet + sky_light((60 if since % 0.24 < 0.12 else 100) if 0 <= since < 4.99 else 0)

    found = closed(frames(storm, seconds=7), prefilter(max_candidate_seconds=2.0))
    assert sum(candidate.end_seconds - candidate.start_seconds for candidate in found) > 4.6
    assert found[1].start_seconds == pytest.approx(found[0].end_seconds)
    assert found[1].peak_rise_levels > 90  # over the scene, not over the storm


def test_what_was_learnt_of_a_place_is_forgotten_with_another_place() -> None:
    lamp = patch(70, (140, 170), (200, 250))

    def blinking(when: float, quiet: Picture) -> Picture:
        return quiet + lamp if (when % 1.2 < 0.2 and when < 10) or 11.6 <= when < 11.68 else quiet

    def last(cut: float) -> float:
        source = marked(frames(blinking, seconds=12.4, rate=12.5), epoch=lambda frame: int(frame.seconds >= cut))
        return closed(source)[-1].start_seconds

    assert last(99) < 10
    assert last(10.4) == pytest.approx(11.6)


def test_pictures_and_exposure_of_before_a_cut_are_not_those_of_a_flash_after_it() -> None:
    def change(when: float, quiet: Picture) -> Picture:
        place = quiet * np.float32(0.6) if when >= 1.28 else quiet
        return lit((1.2, 1.28), (2.0, 2.08), light=sky_light(25))(when, place)

    source = frames(change, scene=land(90), seconds=3)
    first, second = closed(marked(source, epoch=lambda frame: int(frame.seconds >= 1.96)))
    assert (first.start_seconds, second.start_seconds) == pytest.approx((1.2, 2.0))
    assert second.before is not None
    assert second.before.seconds == pytest.approx(1.96)


def test_the_noise_of_a_camera_is_still_known_after_damage() -> None:
    faint = frames(lit((2.16, 2.2), light=sky_light(4.5)), seconds=3)
    damaged = marked(faint, quality=lambda frame: ("packet_loss",) if frame.seconds < 2.0 else ())
    assert starts(closed(damaged)) == [2.16]


def test_a_candidate_of_a_storm_is_no_longer_than_ten_seconds_and_a_storm_of_eight_is_one() -> None:
    def storm(when: float, quiet: Picture) -> Picture:
        return quiet + sky_light((60 if when % 0.4 < 0.2 else 100) if when >= 1 else 0)

    lengths = [found.end_seconds - found.start_seconds for found in closed(frames(storm, seconds=12, rate=10))]
    assert 8 < lengths[0] <= 10.2


def test_no_block_is_lit_by_less_than_four_times_its_noise() -> None:
    watcher = prefilter()
    assert not watch(frames(still, seconds=2, noise=20), watcher)
    assert watcher.change is not None
    assert (watcher.change.scene.threshold >= 4 * watcher.change.scene.noise).all()
