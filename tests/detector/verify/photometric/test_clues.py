"""What single clues measure, on candidates whose curve or frames are set by hand."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from detector.candidate import Candidate, CandidateContext, LightCurve
from detector.settings import load_settings
from detector.verify.photometric.clues import light_curve, shape
from detector.verify.photometric.clues import scene as scene_clues
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.registry import CLUES
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import HEIGHT, WIDTH, Picture, closed, frames, land, lit, patch, sky_light
from stream import Frame

PHOTOMETRIC = load_settings().photometric


@cache
def flash() -> Candidate:
    return closed(frames(lit((2.0, 2.2))))[0]


def curve(rise: list[float], *, step: float = 0.04, **given: list[float]) -> LightCurve:
    """A light curve of one frame every `step` seconds, lit where it rises by 1 or more."""
    levels = np.array(rise, np.float32)
    flat = {name: np.full(len(rise), 0.5, np.float32) for name in ("lit_fraction", "x", "y")}
    full = {name: np.ones(len(rise), np.float32) for name in ("positivity", "overlap")}
    told = {name: np.array(values, np.float32) for name, values in given.items()}
    arrays = {"seconds": 2.0 + step * np.arange(len(rise)), "rise": levels, "peak_rise": levels, "lit": levels >= 1}
    return LightCurve(**(arrays | flat | full | told))


def look(
    rise: list[float], *, step: float = 0.04, context: CandidateContext | None = None, **given: list[float]
) -> CandidateFeatures:
    return CandidateFeatures(
        replace(
            flash(),
            curve=curve(rise, step=step, **given),
            lit_fraction=0.1,
            context=context or CandidateContext(),
            after=None,
        )
    )


def odds(clue: str, value: float | None) -> float:
    """What a clue adds to the log-odds of lightning."""
    assert value is not None
    return next(one for one in CLUES if one.key == clue).log_odds(value)


def showing(frame: Frame, levels: Picture) -> Frame:
    return replace(frame, luma=np.clip(16 + levels * 219 / 255, 0, 255).astype(np.uint8))


def test_light_that_moves_on_is_an_insect_however_large_it_is() -> None:
    moving = look([60, 60, 60, 60], overlap=[0, 0.2, 0.3, 0.4])
    assert odds("overlap", light_curve.frame_overlap(moving)) == -3
    large = CandidateFeatures(replace(moving.candidate, lit_fraction=0.5))
    assert light_curve.frame_overlap(large) == light_curve.frame_overlap(moving)


def test_where_the_last_glow_is_says_nothing_of_where_the_light_was() -> None:
    fading = look([60, 50, 40, 12, 8, 6, 4], overlap=[0, 0.9, 0.95, 0.1, 0.1, 0.2, 0.0])
    assert odds("overlap", light_curve.frame_overlap(fading)) == 0


def test_two_frames_may_be_one_stroke_seen_by_a_rolling_shutter_unless_they_are_too_far_apart_for_that() -> None:
    pair = {"overlap": [0, 0.1, 0, 0]}
    assert light_curve.frame_overlap(look([60, 60, 0, 0], **pair)) is None
    assert light_curve.frame_overlap(look([60, 60, 0, 0], step=0.2, **pair)) == pytest.approx(0.1)


def test_frames_that_are_far_apart_show_strokes_of_their_own() -> None:
    assert light_curve.frame_overlap(look([60, 60, 60, 60], step=0.3, overlap=[0, 0.1, 0.1, 0.1])) is None


def test_clouds_that_drift_into_the_place_of_a_flash_are_not_its_light() -> None:
    quiet = land()
    light = sky_light(20, rows=(0, 90), columns=(60, 260))
    source = closed(frames(lit((2.0, 2.04), light=light), scene=quiet))[0]
    stays = replace(source, curve=curve([20, 10, 10, 10, 10]), context=CandidateContext(dark_after=False))
    drift = np.zeros((HEIGHT, WIDTH), np.float32)
    drift[:90, 60:160], drift[:90, 160:260] = 10, -10
    clouds = CandidateFeatures(replace(stays, after=showing(source.peak, quiet + drift)))
    lamp = CandidateFeatures(replace(stays, after=showing(source.peak, quiet + light / 2)))
    assert odds("fallen_share", light_curve.decay_fraction(clouds)) > 0
    assert light_curve.returned_to_dark(clouds) == 1
    assert odds("fallen_share", light_curve.decay_fraction(lamp)) < -5
    assert light_curve.returned_to_dark(lamp) == 0


def filtered(*, dark: float, stays: float) -> Candidate:
    """The frame is `dark` times as bright for three frames, then far too bright, then stays at `stays`."""

    def change(when: float, quiet: Picture) -> Picture:
        if when < 2.0:
            return quiet
        gain = dark if when < 2.11 else stays + 1.5 * np.exp(-(when - 2.12) / 0.08)
        return quiet * np.float32(gain)

    return closed(frames(change, scene=land(60), seconds=5))[0]


def test_a_dark_moment_before_and_a_brighter_frame_after_is_a_filter_that_swings() -> None:
    swing = filtered(dark=0.35, stays=1.3)
    assert odds("filter_swing", scene_clues.filter_swing(CandidateFeatures(swing))) == -6
    assert not PhotometricVerifier(PHOTOMETRIC).verify([swing])[0].lightning
    for other in (filtered(dark=0.35, stays=1.0), filtered(dark=1.0, stays=1.3)):
        assert odds("filter_swing", scene_clues.filter_swing(CandidateFeatures(other))) == 0


def test_no_filter_is_seen_in_a_frame_that_is_black_before_the_flash() -> None:
    black = np.full((HEIGHT, WIDTH), 1, np.float32)
    assert scene_clues.filter_swing(CandidateFeatures(closed(frames(lit((2.0, 2.04)), scene=black))[0])) is None


def test_light_that_all_unlit_places_share_by_what_they_show_is_mains_light() -> None:
    scene = np.full((HEIGHT, WIDTH), 30, np.float32)
    scene[:60, :100] = 130

    def beat(when: float, quiet: Picture) -> Picture:
        return quiet * np.float32(1.06) if 2.0 <= when < 2.08 else quiet

    mains = CandidateFeatures(closed(frames(beat, scene=scene))[0])
    sky = CandidateFeatures(
        closed(frames(lit((2.0, 2.08), light=sky_light(20, rows=(0, 60), columns=(0, 100))), scene=scene))[0]
    )
    assert odds("gain_elsewhere", scene_clues.gain_elsewhere(mains)) == -4
    assert odds("gain_elsewhere", scene_clues.gain_elsewhere(sky)) == 0


def test_a_sky_that_doubles_its_light_where_it_is_not_lit_is_no_mains_light() -> None:
    scene = np.full((HEIGHT, WIDTH), 2, np.float32)
    light = np.full((HEIGHT, WIDTH), 2, np.float32) + sky_light(60, rows=(0, 60), columns=(0, 100))
    assert (
        scene_clues.gain_elsewhere(CandidateFeatures(closed(frames(lit((2.0, 2.08), light=light), scene=scene))[0]))
        is None
    )


def test_little_is_left_to_tell_mains_light_by_where_nearly_all_is_lit() -> None:
    everywhere = np.full((HEIGHT, WIDTH), 20, np.float32)
    assert scene_clues.gain_elsewhere(CandidateFeatures(closed(frames(lit((2.0, 2.04), light=everywhere)))[0])) is None


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 1), (2, 1)])
def test_a_frame_that_moves_is_explained_by_its_slopes_and_a_flash_is_not(right: int, down: int) -> None:
    rng = np.random.default_rng(3)
    houses = np.kron(rng.choice([60, 100], (9, 16)).astype(np.float32), np.ones((20, 20), np.float32))
    stroke = closed(frames(lit((2.0, 2.04)), scene=houses))[0]
    moved = showing(stroke.peak, np.roll(houses, (down, right), axis=(0, 1)))
    assert odds("shift_likeness", scene_clues.shift_likeness(CandidateFeatures(replace(stroke, peak=moved)))) < -4
    assert odds("shift_likeness", scene_clues.shift_likeness(CandidateFeatures(stroke))) == 0


def test_a_cloudy_sky_that_is_shaken_is_told_by_its_slope_and_a_glow_on_it_is_not() -> None:
    sky = (30 + 25 * np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None] ** 2).repeat(WIDTH, axis=1)
    sky += 4 * np.sin(np.arange(WIDTH, dtype=np.float32) / 40)
    stroke = closed(frames(lit((2.0, 2.04)), scene=sky))[0]
    moved = showing(stroke.peak, np.vstack([sky[5:], sky[-5:]]))
    assert odds("shift_likeness", scene_clues.shift_likeness(CandidateFeatures(replace(stroke, peak=moved)))) < -4
    assert odds("shift_likeness", scene_clues.shift_likeness(CandidateFeatures(stroke))) == 0


def test_a_frame_that_moves_further_than_its_detail_is_wide_is_found_where_it_went() -> None:
    rng = np.random.default_rng(3)
    detail = [rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32) for _ in range(2)]
    clouds = sum(cv2.GaussianBlur(one, (0, 0), wide) * 30 * wide for one, wide in zip(detail, (3, 12), strict=True))
    scene = np.clip(90 + clouds, 20, 200).astype(np.float32)
    stroke = closed(frames(lit((2.0, 2.04)), scene=scene))[0]
    moved = showing(stroke.peak, np.roll(scene, (4, 6), axis=(0, 1)))
    found = scene_clues.shift_likeness(CandidateFeatures(replace(stroke, peak=moved)))
    assert found is not None
    assert found > 0.75


@pytest.mark.parametrize("levels", [12, 60])
def test_a_flash_in_a_frame_that_moves_is_told_by_what_is_left_when_the_frame_is_moved_back(levels: float) -> None:
    rng = np.random.default_rng(3)
    houses = np.kron(rng.choice([60, 120], (18, 32)).astype(np.float32), np.ones((10, 10), np.float32))
    stroke = closed(frames(lit((2.0, 2.04), light=sky_light(levels)), scene=houses))[0]
    went = np.pad(houses, ((1, 0), (2, 0)), mode="edge")[:HEIGHT, :WIDTH]

    def seen(shown: Picture) -> CandidateFeatures:
        return CandidateFeatures(replace(stroke, peak=showing(stroke.peak, shown), onset=showing(stroke.onset, shown)))

    for clue in (scene_clues.shift_likeness, scene_clues.fine_positivity):
        assert odds(clue.key, clue(seen(went + sky_light(levels)))) >= 0
        assert odds(clue.key, clue(seen(went))) < -4
        assert odds(clue.key, clue(seen(went + patch(60, (50, 58), (100, 118))))) < -4  # an insect


def test_crumbs_that_a_shift_leaves_along_a_skyline_are_no_light_however_pure() -> None:
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    edge = 90 + 10 * np.sin(np.arange(WIDTH, dtype=np.float32)[None, :] / 25)

    def view(down: float) -> Picture:
        return (60 + 90 * np.clip(edge + down - rows + 0.5, 0, 1)).astype(np.float32)

    stroke = closed(frames(lit((2.0, 2.04)), scene=view(0)))[0]

    def tilted(rest: Picture) -> CandidateFeatures:
        now = showing(stroke.peak, view(2) + rest)
        return CandidateFeatures(replace(stroke, peak=now, onset=now))

    assert scene_clues.shift_likeness(tilted(patch(30, (50, 56), (100, 112)))) == pytest.approx(0.95, abs=0.05)
    assert scene_clues.shift_likeness(tilted(sky_light(20))) == 0


def test_a_camera_that_swings_by_a_fifteenth_of_the_frame_is_followed() -> None:
    rng = np.random.default_rng(3)
    houses = np.kron(rng.choice([60, 100], (18, 32)).astype(np.float32), np.ones((10, 10), np.float32))
    stroke = closed(frames(lit((2.0, 2.04)), scene=houses))[0]
    moved = showing(stroke.peak, np.roll(houses, (6, 21), axis=(0, 1)))
    assert odds("shift_likeness", scene_clues.shift_likeness(CandidateFeatures(replace(stroke, peak=moved)))) < -4
    assert odds("shift_likeness", scene_clues.shift_likeness(CandidateFeatures(stroke))) == 0


def test_noise_is_no_shift() -> None:
    still = flash()
    assert still.before is not None
    assert scene_clues.shift_likeness(CandidateFeatures(replace(still, peak=still.before))) == 0


def test_where_the_centre_of_a_large_light_is_and_goes_says_nothing() -> None:
    crossing = look([60, 60, 60, 60], x=[0.1, 0.3, 0.5, 0.7])
    assert odds("travel", light_curve.linear_motion(crossing)) == -4
    low = CandidateFeatures(replace(crossing.candidate, centroid=(0.5, 0.9)))
    assert odds("height", shape.vertical_position(low)) == -4
    for candidate in (crossing.candidate, low.candidate):
        large = CandidateFeatures(replace(candidate, lit_fraction=0.5))
        assert light_curve.linear_motion(large) is None
        assert shape.vertical_position(large) is None


def test_a_lamp_shines_evenly_but_in_white_frames_everything_does() -> None:
    lamp, strokes = look([60, 62, 59, 61, 60]), look([60, 45, 30, 55, 40])
    assert odds("steadiness", light_curve.plateau_flatness(lamp)) == -4
    assert odds("steadiness", light_curve.plateau_flatness(strokes)) == 0
    white = replace(lamp.candidate, peak_map=np.full_like(lamp.candidate.peak_map, 250))
    assert light_curve.plateau_flatness(CandidateFeatures(white)) is None


def test_three_frames_may_be_as_bright_as_each_other_by_chance() -> None:
    assert odds("steadiness", light_curve.plateau_flatness(look([60, 62, 59]))) == 0


def test_the_evenness_of_four_frames_is_half_a_proof() -> None:
    assert -3 < odds("steadiness", light_curve.plateau_flatness(look([60, 62, 59, 60]))) < -1


def test_the_drift_of_the_last_glow_is_no_travel_and_that_of_bright_frames_is() -> None:
    fading = {"x": [0.5, 0.5, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2]}
    assert light_curve.linear_motion(look([60, 50, 40, 14, 13, 10, 8, 6, 4], **fading)) == 0
    assert light_curve.linear_motion(look([60, 50, 14, 14, 13, 10, 8, 6, 4], **fading)) is None
    assert odds("travel", light_curve.linear_motion(look([60, 22, 24, 23], x=[0.5, 0.4, 0.3, 0.2]))) == -4


def hail(seed: int) -> Picture:
    """Land on which small stones lie, each time elsewhere."""
    rng = np.random.default_rng(seed)
    stones = np.zeros((HEIGHT, WIDTH), np.float32)
    stones[rng.integers(0, HEIGHT, 600), rng.integers(0, WIDTH, 600)] = 180
    return land() + cv2.blur(stones, (2, 2))


def in_hail(levels: float) -> Candidate:
    """A flash of two frames, the second as bright as the first, over ground on which hail falls all the time."""
    stroke = closed(frames(lit((2.0, 2.08), light=sky_light(levels))))[0]
    assert stroke.before is not None
    assert stroke.after is not None
    light = sky_light(levels)
    return replace(
        stroke,
        before=showing(stroke.before, hail(11)),
        onset=showing(stroke.onset, hail(12) + light),
        peak=showing(stroke.peak, hail(13) + light),
        after=showing(stroke.after, hail(14)),
        quiet=tuple(showing(frame, hail(seed)) for seed, frame in enumerate(stroke.quiet)),
    )


def test_what_falls_all_the_time_does_not_speak_against_a_flash_that_outshines_it() -> None:
    calm = CandidateFeatures(replace(in_hail(8), quiet=()))
    assert odds("fine_positivity", scene_clues.fine_positivity(calm)) < -2
    assert scene_clues.fine_positivity(CandidateFeatures(in_hail(8))) == pytest.approx(1, abs=0.01)
    assert scene_clues.fine_positivity(CandidateFeatures(in_hail(6))) == pytest.approx(0.916, abs=0.01)
    assert odds("fine_positivity", scene_clues.fine_positivity(CandidateFeatures(in_hail(4)))) < -4


def test_what_a_scene_does_by_itself_is_taken_over_as_long_as_the_flash_is_from_the_frame_before_it() -> None:
    stroke = flash()
    assert stroke.before is not None
    assert len(stroke.quiet) == 4
    drifting = replace(stroke, quiet=tuple(showing(one, land() + 10 * n) for n, one in enumerate(stroke.quiet)))
    for seconds, drift in ((0.04, 10), (0.5, 20), (9.0, 30)):
        usual = CandidateFeatures(drifting).typical_change(
            replace(stroke.peak, seconds=stroke.before.seconds + seconds)
        )
        assert usual is not None
        assert float(usual.difference.mean()) == pytest.approx(drift, abs=0.5)
    assert CandidateFeatures(replace(drifting, before=None)).typical_change(stroke.peak) is None
    assert CandidateFeatures(replace(drifting, quiet=drifting.quiet[:1])).typical_change(stroke.peak) is None
    assert CandidateFeatures(drifting).typical_change(None) is None


def test_hail_that_falls_all_the_time_is_no_other_scene() -> None:
    stroke = in_hail(12)
    assert odds("scene_changed", scene_clues.scene_changed(CandidateFeatures(stroke))) == 0
    assert scene_clues.scene_changed(CandidateFeatures(replace(stroke, quiet=()))) > 0.15  # type: ignore[operator]


def test_sparks_are_counted_whatever_the_scene_does_by_itself() -> None:
    swarm = sky_light(20)
    for row in (0, 1):
        for column in (0, 1):
            swarm[20 + row : 80 : 12, 40 + column : 200 : 16] = 250
    burst = closed(frames(lit((2.0, 2.04), light=swarm)))[0]
    restless = replace(burst, quiet=tuple(showing(frame, hail(seed)) for seed, frame in enumerate(burst.quiet)))
    assert shape.point_sources(CandidateFeatures(restless)) == shape.point_sources(CandidateFeatures(burst)) == 50
    quiet = showing(burst.peak, land())
    hidden = replace(burst, onset=quiet, peak=quiet, waning=None)
    assert shape.point_sources(CandidateFeatures(hidden)) == 0
    later = replace(hidden, rest=burst.peak)
    assert shape.point_sources(CandidateFeatures(later)) == 50, "also those that outshine it after its span"


def between_places(*, takes: float, at_once: bool = False, same: bool = False) -> Candidate:
    """A fade to white and back within `takes` seconds, or white at once and fading, into another place."""
    houses = np.random.default_rng(8).choice([20, 40], (18, 32)).astype(np.float32)
    there = land() if same else np.kron(houses, np.ones((10, 10), np.float32))

    def edited(when: float, quiet: Picture) -> Picture:
        done = (when - 2.0 + 0.02) / takes
        place = quiet if done < 0.5 and not at_once else there
        if not 0 <= done < 1:
            return quiet if done < 0 else there
        share = 1 - done if at_once else 1 - abs(2 * done - 1)
        return place + np.float32(share) * (255 - place)

    return closed(frames(edited, noise=1))[0]


@pytest.mark.parametrize("same", [True, False])
def test_a_fade_to_white_is_an_editors_whether_it_leads_to_another_place_or_back(same: bool) -> None:
    dip = between_places(takes=0.2, same=same)
    assert odds("unevenness", scene_clues.fade_residual(CandidateFeatures(dip))) == -5
    assert not PhotometricVerifier(PHOTOMETRIC).verify([dip])[0].lightning


def test_where_all_is_white_at_once_the_way_back_is_asked() -> None:
    burst = CandidateFeatures(between_places(takes=0.4, at_once=True))
    assert burst.at_onset is not None
    assert burst.at_onset.unevenness() is None
    assert odds("unevenness", scene_clues.fade_residual(burst)) == -5
    assert scene_clues.fade_residual(CandidateFeatures(replace(burst.candidate, waning=None))) is None


def test_light_that_fades_into_the_dark_is_uneven_and_a_fade_that_follows_a_stroke_does_not_undo_it() -> None:
    stroke = flash()
    assert odds("unevenness", scene_clues.fade_residual(CandidateFeatures(stroke))) == 0
    fade = between_places(takes=0.4)
    assert (
        odds(
            "unevenness",
            scene_clues.fade_residual(CandidateFeatures(replace(stroke, waning=fade.waning, after=fade.after))),
        )
        == 0
    )


def arc_on_the_ground(*, brightens_sky: float = 0.0) -> Candidate:
    """A pale dusk over a dark yard, in which something flashes."""
    yard = np.full((HEIGHT, WIDTH), 15, np.float32) + 3 * np.random.default_rng(4).standard_normal((HEIGHT, WIDTH))
    yard[:100] = 60
    light = sky_light(120, rows=(110, 170), columns=(100, 220))
    light[:100] += brightens_sky
    return closed(frames(lit((2.0, 2.08), light=light), scene=yard.astype(np.float32)))[0]


def in_colour(one: Candidate) -> Candidate:
    """The same, bluish as at dusk."""

    def seen(frame: Frame | None) -> Frame:
        assert frame is not None
        shown = np.clip(frame.levels(frame.luma)[..., None] * np.array([0.9, 1.0, 1.3], np.float32), 0, 255)
        return replace(frame, color=lambda _side: shown.astype(np.uint8))

    return replace(one, before=seen(one.before), peak=seen(one.peak))


def test_what_lights_a_yard_and_leaves_the_sky_above_as_it_was_is_no_lightning() -> None:
    infrared = arc_on_the_ground()
    arc, stroke = in_colour(infrared), in_colour(arc_on_the_ground(brightens_sky=30))
    assert odds("sky_share", shape.sky_share(CandidateFeatures(arc))) == -5
    assert not PhotometricVerifier(PHOTOMETRIC).verify([arc])[0].lightning
    assert odds("sky_share", shape.sky_share(CandidateFeatures(stroke))) == 0
    assert shape.sky_share(CandidateFeatures(replace(arc, lit_fraction=0.02))) is None
    assert shape.sky_share(CandidateFeatures(infrared)) is None


def test_one_white_frame_between_two_places_is_known_by_the_places() -> None:
    cut = CandidateFeatures(between_places(takes=0.04))
    assert odds("detail_kept", scene_clues.detail_kept(cut)) == -5
    assert odds("detail_kept", scene_clues.detail_kept(CandidateFeatures(flash()))) == 0


def test_the_detail_of_a_scene_that_moves_or_is_not_known_as_long_says_nothing() -> None:
    cut = between_places(takes=0.04)
    drive = tuple(showing(one, waves(n)) for n, one in enumerate(cut.quiet))
    assert scene_clues.detail_kept(CandidateFeatures(replace(cut, quiet=drive))) is None
    assert scene_clues.detail_kept(CandidateFeatures(replace(cut, quiet=cut.quiet[:1]))) is None
    assert cut.after is not None
    late = replace(cut, after=replace(cut.after, seconds=cut.after.seconds + 5))
    assert scene_clues.detail_kept(CandidateFeatures(late)) is None


def waves(seed: int) -> Picture:
    """A sea of which every place is brighter or darker by 9 levels."""
    rng = np.random.default_rng(seed)
    return land() + np.kron(rng.choice([-9, 9], (18, 32)).astype(np.float32), np.ones((10, 10), np.float32))


def test_what_a_restless_scene_does_meanwhile_is_no_other_scene() -> None:
    stroke = closed(frames(lit((2.0, 2.04), light=sky_light(12))))[0]
    assert stroke.after is not None
    calm = replace(stroke, after=showing(stroke.after, waves(4)))
    sea = replace(calm, quiet=tuple(showing(frame, waves(seed)) for seed, frame in enumerate(stroke.quiet)))
    assert odds("scene_changed", scene_clues.scene_changed(CandidateFeatures(calm))) < -1
    assert odds("scene_changed", scene_clues.scene_changed(CandidateFeatures(sea))) == 0


def test_an_arc_that_burns_on_is_told_from_strokes_and_their_continuing_current() -> None:
    rng = np.random.default_rng(3)
    arc = look([float(level) for level in rng.uniform(35, 100, 50)])
    strokes = look([100.0, 30, 20, 20, 80, 25, 20, 20, 20, 90, 20, 20, 20, 20, 10] * 4)
    current = look([100.0 * 0.95**n for n in range(25)])
    value, pauses = (light_curve.sustained_share(one) for one in (lasting(arc), lasting(strokes)))
    assert value is not None
    assert odds("sustained", value) == -4
    assert pauses is None or odds("sustained", pauses) == 0
    assert light_curve.sustained_share(lasting(current)) is None


def lasting(features: CandidateFeatures) -> CandidateFeatures:
    """The same, whose end is that of its curve."""
    seconds = features.candidate.curve.seconds
    return CandidateFeatures(
        replace(features.candidate, start_seconds=float(seconds[0]), end_seconds=float(seconds[-1]) + 0.04)
    )


@pytest.mark.parametrize(
    ("clue", "lightning", "lookalike"),
    [
        pytest.param("positivity", 0.95, 0.88, id="rain and traffic darken an eighth of what they brighten"),
        pytest.param("fine_positivity", 0.93, 0.85, id="what moves uncovers what was behind it"),
        pytest.param("fallen_share", 0.8, 0.6, id="of a new exposure a good part stays"),
        pytest.param("scene_changed", 0.3, 0.55, id="after a cut half of the change is still there"),
        pytest.param("detail_kept", 0.4, 0.25, id="of another place hardly any detail is the same"),
        pytest.param("unevenness", 0.06, 0.045, id="codec and what moves leave little of an editor's evenness"),
        pytest.param("suddenness", 0.55, 0.4, id="headlights come nearer in several steps"),
        pytest.param("gain_likeness", 0.55, 0.7, id="most of an exposure step is gain"),
        pytest.param("gain_elsewhere", 0.4, 0.55, id="mains light beats all over the frame"),
        pytest.param("filter_swing", 0.1, 0.2, id="a fifth darker before and brighter after"),
        pytest.param("shift_likeness", 0.45, 0.52, id="a shift explains half of what a shaken camera shows"),
        pytest.param("seen_before", 0.49, 0.73, id="a bird that leaves, drifting clouds allowed for"),
        pytest.param("smoothness", 0.25, 0.15, id="sparks and drops are smaller than a cloud"),
        pytest.param("specks", 12, 15, id="a channel has some branches, a firework a swarm of sparks"),
        pytest.param("overlap", 0.7, 0.5, id="an insect is half out of its place a frame later"),
        pytest.param("travel", 0.4, 0.7, id="a car goes its way"),
        pytest.param("roaming", 2, 2.6, id="a shutter parts a stroke in two, an insect crosses the view"),
        pytest.param("company", 1, 2.1, id="one stray drop is no swarm"),
        pytest.param("show", 1, 2.1, id="one swarm of sparks is no show"),
        pytest.param("steadiness", 0.6, 0.8, id="a lamp is as bright in four frames of five"),
        pytest.param("regularity", 0.6, 0.8, id="a beacon repeats itself"),
        pytest.param("blinks", 2, 3, id="three in time may be chance, four hardly"),
        pytest.param("sustained", 0.6, 0.8, id="strokes are shorter than the pauses, an arc goes on"),
        pytest.param("burning", 0.08, 0.2, id="stars burn on, strokes go out"),
        pytest.param("colour_lost", 0.6, 0.8, id="white light pales a scene, night mode takes its colour"),
        pytest.param("warmth", 0.1, 0.3, id="bulbs and sparks are warm"),
        pytest.param("hue_spread", 0.2, 0.27, id="stage lights have many colours"),
        pytest.param("greenness", 0.08, 0.13, id="coding leaves a green rim, copper and barium shine green"),
        pytest.param("height", 0.76, 0.85, id="what shines in the lowest sixth is on the ground"),
        pytest.param("lamplight", -0.02, 0.02, id="headlights are a little warm"),
        pytest.param("sky_share", 0.09, 0.07, id="an arc on the ground lights the yard and hardly the sky"),
        pytest.param("reach", 0.16, 0.13, id="an insect is all that it lights"),
    ],
)
def test_each_bound_lies_between_lightning_and_what_looks_like_it(
    clue: str, lightning: float, lookalike: float
) -> None:
    assert odds(clue, lightning) >= 0
    assert odds(clue, lookalike) <= -1.99


@pytest.mark.parametrize(
    ("clue", "doubtful", "half"),
    [
        pytest.param("specks", 14.5, -2, id="a firework that begins, or a channel of many branches"),
        pytest.param("roaming", 2.5, -2, id="an insect, or strokes that lit different clouds"),
        pytest.param("company", 2, -2, id="a drop on the lens, or the first insects"),
        pytest.param("show", 2, -2, id="a firework show that begins, or two channels of many branches"),
        pytest.param("warmth", 0.3, -2, id="a bulb, or a storm in the haze at the horizon"),
        pytest.param("hue_spread", 0.25, -1.5, id="two stage lights, or a storm behind a sunset"),
    ],
)
def test_what_may_be_either_is_doubted_by_half(clue: str, doubtful: float, half: float) -> None:
    assert odds(clue, doubtful) == pytest.approx(half, abs=0.3)


def test_orange_light_of_clouds_over_sodium_lamps_outweighs_all_that_favours_it() -> None:
    assert odds("warmth", 0.5) == -4


@pytest.mark.parametrize(("clue", "usual", "odd"), [("went_dark", 1, 0), ("size", 0.1, 0.03)])
def test_weak_reasons_only_tip_the_scales(clue: str, usual: float, odd: float) -> None:
    assert odds(clue, usual) == 0
    assert -1.6 <= odds(clue, odd) <= -0.5


def test_every_reason_has_its_bounds_checked_here() -> None:
    marks = [test_each_bound_lies_between_lightning_and_what_looks_like_it, test_weak_reasons_only_tip_the_scales]
    named = {(row.values if hasattr(row, "values") else row)[0] for test in marks for row in test.pytestmark[0].args[1]}
    assert named == {clue.key for clue in CLUES}
