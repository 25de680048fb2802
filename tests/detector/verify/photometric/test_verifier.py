"""What the photometric verifier says of lightning and of what looks like it, and by which reason."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest

from detector.candidate import Candidate
from detector.events import Verdict
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from detector.verify.photometric.clues import scene
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.registry import CLUES
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import HEIGHT, WIDTH, Change, Picture, closed, frames, land, lit, marked, prefilter, sky_light
from stream import Frame

SETTINGS = load_settings().photometric
FLASH = lit((2.0, 2.04))


def candidate_of(source: Iterator[Frame], number: int = 0, **changes: float) -> Candidate:
    return closed(source, prefilter(**changes))[number]


def judge(candidate: Candidate) -> Verdict:
    return PhotometricVerifier(SETTINGS).verify([candidate])[0]


def says(verdict: Verdict, clue: str) -> float:
    """What one clue added to the log-odds of lightning."""
    return next(one for one in CLUES if one.key == clue).log_odds(verdict.evidence[clue])


def tinted(before: tuple[int, int, int], light: Callable[[Picture], Picture]) -> Callable[[Frame], object]:
    """Colours of a frame: `before` everywhere, and `light` ((rows, columns, 3) shares) on what is bright in its sky."""

    def make(frame: Frame) -> object:
        grey = frame.levels(frame.luma[::2, ::2])

        def rgb(_side: int | None) -> np.ndarray:  # type: ignore[type-arg]
            added = np.maximum(grey - 48, 0)[:, :, None] * light(grey)
            return np.clip(np.array(before, np.float32) + added, 0, 240).astype(np.uint8)

        return rgb

    return make


def white(_grey: Picture) -> Picture:
    return np.ones((1, 1, 3), np.float32)


def one_colour(light: tuple[float, ...]) -> Picture:
    return np.array(light, np.float32)[None, None, :]


def strokes(when: float, quiet: Picture) -> Picture:
    """Two strokes, each with its glow."""
    after = [when - start for start in (2.0, 2.2) if when >= start - 1e-6]
    return quiet + sky_light(80) * np.float32(np.exp(-after[-1] / 0.06)) if after else quiet


PART_OF_THE_SKY = sky_light(60, rows=(40, 110), columns=(60, 200)) + sky_light(6)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(FLASH, id="one frame"),
        pytest.param(strokes, id="two strokes"),
        pytest.param(lit((2.0, 2.04), light=PART_OF_THE_SKY), id="a part of the sky"),
        pytest.param(lit((2.0, 2.04), light=sky_light(300)), id="white out"),
    ],
)
def test_lightning_is_confirmed(change: Change) -> None:
    verdict = judge(candidate_of(frames(change)))
    assert verdict.lightning
    assert verdict.state == "confirmed"
    assert verdict.verifier == "photometric"
    assert verdict.probability is not None
    assert verdict.probability > 0.7


def test_every_reason_that_could_be_measured_is_named_in_the_verdict() -> None:
    coloured = marked(frames(lit((2.0, 2.2))), color=tinted((40, 60, 90), white))
    evidence = judge(candidate_of(coloured)).evidence
    assert {"positivity", "fine_positivity", "fallen_share", "went_dark", "suddenness", "gain_likeness"} <= set(
        evidence
    )
    assert {"steadiness", "blinks", "colour_lost", "warmth", "size", "scene_changed"} <= set(evidence)
    assert set(evidence) <= {clue.key for clue in CLUES}
    assert {type(value) for value in evidence.values()} == {float}  # what JSON can hold


def test_what_speaks_most_against_a_rejected_light_is_told_in_words_the_strongest_first() -> None:
    stayed = judge(candidate_of(frames(lit((2.0, 9.0)), seconds=5)))
    reason = stayed.reason or ""
    assert reason.startswith("the light stayed (fallen_share 0")
    assert "; it was not seen to go out (went_dark 0)" in reason
    assert "positivity" not in reason
    assert judge(candidate_of(frames(FLASH))).reason is None


def test_a_light_without_a_flaw_that_is_rejected_all_the_same_is_said_to_miss_what_is_asked_for() -> None:
    flash = candidate_of(frames(FLASH))
    strict = msgspec.structs.replace(SETTINGS, threshold=0.999, damaged_threshold=0.999)
    assert PhotometricVerifier(strict).verify([flash])[0].reason == "less sure than the settings ask for"
    careful = msgspec.structs.replace(SETTINGS, damaged_threshold=0.999)
    verdict = PhotometricVerifier(careful).verify([replace(flash, quality=("packet_loss",))])[0]
    assert verdict.state == "rejected"
    assert "frames are damaged" in (verdict.reason or "")


def test_a_dip_of_the_exposure_after_the_strike_does_not_speak_against_it() -> None:
    def dip(when: float, quiet: Picture) -> Picture:
        gain = 0.8 if when >= 2.08 else 1.0
        return lit((2.0, 2.08), light=sky_light(90))(when, quiet * np.float32(gain))

    verdict = judge(candidate_of(frames(dip, scene=land(90))))
    assert verdict.lightning
    assert says(verdict, "scene_changed") == 0


def test_two_parts_of_one_stroke_in_two_frames_are_lightning() -> None:
    lower, upper = sky_light(70), sky_light(70)
    lower[:70], upper[70:] = 0, 0

    def band(when: float, quiet: Picture) -> Picture:
        return quiet + (lower if abs(when - 2.0) < 0.01 else upper if abs(when - 2.04) < 0.01 else 0)

    assert judge(candidate_of(frames(band))).lightning


def test_what_moves_is_rejected() -> None:
    fence = land()
    fence[:, :] = 60
    fence[20:160, ::20] = 200

    def parted(when: float, quiet: Picture) -> Picture:
        if abs(when - 2.0) > 0.01:
            return quiet
        return np.vstack([np.roll(quiet[:90], 6, axis=1), np.roll(quiet[90:], -6, axis=1)])

    verdict = judge(candidate_of(frames(parted, scene=fence), min_positivity=0.1, min_fine_positivity=0.1))
    assert says(verdict, "fine_positivity") < -2
    assert not verdict.lightning


def test_light_that_stays_is_rejected() -> None:
    verdict = judge(candidate_of(frames(lit((2.0, 9.0)), seconds=5)))
    assert says(verdict, "fallen_share") < -3
    assert says(verdict, "went_dark") < -1
    assert not verdict.lightning


def test_a_light_that_had_only_come_on_when_the_video_ended_is_doubted_and_one_seen_to_fall_is_not() -> None:
    came_on, fell = (judge(candidate_of(frames(strokes, seconds=seconds))) for seconds in (2.04, 2.16))
    assert (came_on.state, fell.state) == ("unverified", "confirmed")
    assert says(came_on, "went_dark") == -1.5
    assert "went_dark" not in fell.evidence
    assert fell.probability > came_on.probability


@pytest.mark.parametrize("seconds", [2.12, 2.4])
def test_a_recording_that_ends_while_it_is_lit_says_so_and_not_that_the_light_stayed(seconds: float) -> None:
    verdict = judge(candidate_of(frames(lit((2.0, 9.0)), seconds=seconds)))
    assert "fallen_share" not in verdict.evidence
    assert verdict.lightning is not False or "it shone evenly" in str(verdict.reason)
    assert "stayed" not in (verdict.reason or "")


def test_where_frames_are_further_apart_than_a_flash_lasts_no_probability_is_high() -> None:
    fast, slow = (
        judge(candidate_of(frames(lit((10.0, 10.0 + 1 / rate)), seconds=16, rate=rate))) for rate in (25.0, 1.0)
    )
    assert fast.probability is not None
    assert fast.probability > 0.9
    assert slow.probability is not None
    assert slow.probability <= 0.7


def test_a_cut_to_a_brighter_place_is_rejected() -> None:
    other = np.roll(land(90), 97, axis=1)

    def cut(when: float, quiet: Picture) -> Picture:
        return other if when >= 2.0 else quiet

    assert not judge(candidate_of(frames(cut, seconds=5))).lightning


def test_a_bright_moment_after_which_the_scene_is_another_is_rejected() -> None:
    rng = np.random.default_rng(6)
    houses = np.kron(rng.choice([60, 160], (9, 16)).astype(np.float32), np.ones((20, 20), np.float32))
    other = (220 - houses) * np.float32(0.36)

    def switched(when: float, quiet: Picture) -> Picture:
        return quiet + 40 if 2.0 <= when < 2.04 else other if when >= 2.04 else quiet

    verdict = judge(candidate_of(frames(switched, scene=houses)))
    assert says(verdict, "scene_changed") < -0.5
    same = judge(candidate_of(frames(lit((2.0, 2.04), light=np.full((HEIGHT, WIDTH), 40, np.float32)), scene=houses)))
    assert says(same, "scene_changed") == 0


def test_light_that_grows_bit_by_bit_after_its_onset_is_rejected() -> None:
    def nearing(when: float, quiet: Picture) -> Picture:
        share = np.interp(when, [1.99, 2.0, 2.6, 2.8], [0, 0.15, 1, 0], left=0, right=0)
        return quiet + sky_light(120) * np.float32(share)

    verdict = judge(candidate_of(frames(nearing)))
    assert says(verdict, "suddenness") < -2
    assert not verdict.lightning


def test_a_change_of_gain_is_rejected() -> None:
    def gain(when: float, quiet: Picture) -> Picture:
        return quiet * np.float32(1.8) if 2.0 <= when < 2.08 else quiet

    contrast = land(20) + np.linspace(0, 80, WIDTH, dtype=np.float32)[None, :]
    verdict = judge(candidate_of(frames(gain, scene=contrast)))
    assert says(verdict, "gain_likeness") < -4
    assert not verdict.lightning


def test_a_flash_that_fills_a_video_between_black_bars_is_lightning_and_a_change_of_gain_there_is_not() -> None:
    view = np.zeros((HEIGHT, WIDTH), np.float32)
    view[:, 110:210] = 1
    contrast = (land(40) + np.linspace(0, 160, WIDTH, dtype=np.float32)[None, :]) * view

    def gain(when: float, quiet: Picture) -> Picture:
        return quiet * np.float32(1.5) if 2.0 <= when < 2.08 else quiet

    flash = judge(candidate_of(frames(lit((2.0, 2.04), light=60 * view), scene=land(40) * view, noise=1)))
    assert says(flash, "gain_likeness") == 0
    assert flash.lightning
    assert says(judge(candidate_of(frames(gain, scene=contrast, noise=1))), "gain_likeness") < -4


def test_a_lamp_that_shines_evenly_is_rejected() -> None:
    verdict = judge(candidate_of(frames(lit((2.0, 2.4)))))
    assert says(verdict, "steadiness") < -3
    assert not verdict.lightning


def test_light_that_waxes_and_wanes_in_time_is_rejected() -> None:
    def beat(when: float, quiet: Picture) -> Picture:
        return quiet + sky_light(50) * np.float32(max(0.0, np.sin(2 * np.pi * 3 * when))) if 2 <= when < 8 else quiet

    verdict = judge(candidate_of(frames(beat, seconds=9)))
    assert says(verdict, "regularity") < -4
    assert not verdict.lightning


def test_lights_that_come_by_the_clock_are_rejected_once_they_do_and_three_in_time_may_be_chance() -> None:
    spans = [(start, start + 0.04) for start in (2.0, 3.6, 5.2, 6.8, 8.4)]
    found = closed(frames(lit(*spans, light=sky_light(60, columns=(0, 150))), seconds=10.0))
    verdicts = [judge(candidate) for candidate in found]
    assert all(verdict.lightning for verdict in verdicts[:3])
    assert not verdicts[-1].lightning
    assert says(verdicts[-1], "blinks") < -3


def test_a_frame_that_loses_its_colour_is_a_change_of_mode() -> None:
    def mode(frame: Frame) -> object:
        grey = 2.0 <= frame.seconds < 2.04
        return lambda _side: np.full((90, 160, 3), (90, 90, 90) if grey else (40, 60, 90), np.uint8)

    verdict = judge(candidate_of(marked(frames(FLASH), color=mode)))
    assert says(verdict, "colour_lost") < -3


@pytest.mark.parametrize(
    ("light", "cost"),
    [
        pytest.param((1.0, 0.9, 0.95), 0.0, id="white"),
        pytest.param((0.8, 0.9, 1.5), 0.0, id="violet"),
        pytest.param((1.3, 0.9, 0.6), -1.5, id="a bulb"),
        pytest.param((1.6, 0.9, 0.2), -4.0, id="sodium lamps"),
    ],
)
def test_warm_light_speaks_against_lightning_and_white_and_violet_do_not(light: tuple[float, ...], cost: float) -> None:
    coloured = tinted((30, 30, 30), lambda _grey: one_colour(light))
    verdict = judge(candidate_of(marked(frames(FLASH), color=coloured)))
    assert says(verdict, "warmth") == pytest.approx(cost, abs=0.5)


def test_light_of_many_colours_is_rejected() -> None:
    def sparks(grey: Picture) -> Picture:
        shares = np.empty((*grey.shape, 3), np.float32)
        shares[:, ::2], shares[:, 1::2] = (2.0, 0.5, 0.0), (0.0, 0.5, 2.0)
        return shares

    verdict = judge(candidate_of(marked(frames(FLASH), color=tinted((30, 30, 30), sparks))))
    assert says(verdict, "hue_spread") < -2


def test_a_light_on_the_ground_is_rejected_and_the_same_light_in_the_sky_is_not() -> None:
    def at(top: int) -> Verdict:
        light = sky_light(90, rows=(top, top + 40), columns=(60, 300))
        return judge(candidate_of(frames(lit((2.0, 2.04), light=light), scene=land() * 0 + 40)))

    assert says(at(140), "height") < -3
    assert not at(140).lightning
    assert at(30).lightning


def test_a_small_light_that_crosses_the_frame_is_rejected() -> None:
    def insect(when: float, quiet: Picture) -> Picture:
        if not 2.0 <= when < 2.2:
            return quiet
        left = int(40 + 900 * (when - 2.0))
        return quiet + sky_light(90, rows=(40, 75), columns=(left, left + 45))

    verdict = judge(candidate_of(frames(insect)))
    assert says(verdict, "travel") < -3
    assert not verdict.lightning


def test_a_small_light_that_is_somewhere_else_in_each_frame_is_doubted() -> None:
    places = iter([(20, 30), (90, 200), (60, 100), (20, 250)])

    def insects(when: float, quiet: Picture) -> Picture:
        if not 2.0 <= when < 2.15:
            return quiet
        top, left = next(places)
        return quiet + sky_light(90, rows=(top, top + 30), columns=(left, left + 40))

    verdict = judge(candidate_of(frames(insects)))
    assert says(verdict, "overlap") < -2


def test_small_and_sharp_lights_are_doubted_more_than_wide_ones() -> None:
    sharp = np.zeros((HEIGHT, WIDTH), np.float32)
    sharp[40:90:10, 60:130:10] = sharp[41:90:10, 61:130:10] = 250
    small = judge(candidate_of(frames(lit((2.0, 2.04), light=sharp))))
    wide = judge(candidate_of(frames(FLASH)))
    assert says(small, "smoothness") < -1
    assert says(small, "size") < -0.3
    assert "smoothness" not in wide.evidence
    assert small.probability is not None
    assert wide.probability is not None
    assert small.probability < wide.probability


def swarm() -> Picture:
    """Fifty sparks in a faint glow."""
    sparks = sky_light(30)
    for y in (0, 1):
        for x in (0, 1):
            sparks[20 + y : 80 : 12, 40 + x : 200 : 16] = 250
    return sparks


def test_a_swarm_of_burning_points_is_a_firework_and_a_branched_channel_is_not() -> None:
    sparks, channel = swarm(), sky_light(30)
    channel[:120, 100:102] = 250
    for branch in range(20, 110, 30):
        steps = np.arange(25)
        channel[branch + steps // 3, 101 + steps] = channel[branch + steps // 3, 100 - steps] = 250
    firework, stroke = (judge(candidate_of(frames(lit((2.0, 2.04), light=light)))) for light in (sparks, channel))
    assert says(firework, "specks") < -3
    assert not firework.lightning
    assert says(stroke, "specks") == 0
    assert stroke.lightning


@cache
def burst(*, sparks: bool) -> Candidate:
    """A firework: a swarm of sparks, or one whose glare hides them and looks like a flash."""
    return candidate_of(frames(lit((2.0, 2.04), light=swarm()) if sparks else FLASH))


def shown(*lights: tuple[float, bool], camera: str = "roof") -> list[Verdict]:
    """What is said of bursts that start at so many seconds, with or without sparks to be seen."""
    made = [
        replace(burst(sparks=sparks), id=f"{camera}-{start}", camera=camera, start_seconds=start)
        for start, sparks in lights
    ]
    return PhotometricVerifier(SETTINGS).verify(made)


def test_after_three_swarms_of_sparks_the_next_burst_is_a_firework_too_though_none_is_to_be_seen_in_it() -> None:
    barrage = shown((1, True), (9, True), (20, True), (25, False))
    assert [one.lightning for one in barrage] == [False, False, False, False]
    assert says(barrage[-1], "show") == -4
    assert shown((1, True), (9, True), (20, False))[-1].lightning


def test_swarms_that_are_fewer_than_other_lights_are_strokes_of_a_storm_that_look_like_one() -> None:
    storm = [(10.0 * n, n in (3, 5, 7)) for n in range(12)]
    assert [one.lightning for one in shown(*storm)] == [not sparks for _, sparks in storm]


def test_lamps_that_come_to_shine_and_stay_are_no_show() -> None:
    stays = candidate_of(frames(lit((2.0, 9.0), light=swarm()), seconds=5))
    verifier = PhotometricVerifier(SETTINGS)
    verifier.verify([replace(stays, id=f"step {n}", start_seconds=9.0 * n) for n in range(3)])
    assert verifier.verify([replace(burst(sparks=False), camera=stays.camera, start_seconds=30)])[0].lightning


def test_a_show_is_forgotten_after_minutes_and_when_the_clock_goes_back_to_another_recording() -> None:
    assert shown((1, True), (5, True), (9, True), (310, False))[-1].lightning
    assert shown((101, True), (105, True), (109, True), (5, False))[-1].lightning


def test_each_camera_has_shows_of_its_own_and_a_light_that_is_judged_again_counts_once() -> None:
    verifier = PhotometricVerifier(SETTINGS)
    seen = [replace(burst(sparks=True), id=name, camera=name) for name in ("roof", "roof", "roof", "yard", "gate")]
    verifier.verify(seen)
    for camera in ("roof", "yard"):
        assert verifier.verify([replace(burst(sparks=False), id="next", camera=camera, start_seconds=9)])[0].lightning


def test_the_lamps_of_a_town_are_no_sparks_where_the_camera_shakes_in_a_flash() -> None:
    town = land()
    town[130:175:6, 10:310:9] = town[131:176:6, 10:310:9] = 220

    def shaken(when: float, quiet: Picture) -> Picture:
        return np.roll(quiet, (2, 3), axis=(0, 1)) + sky_light(70) if abs(when - 2.0) < 0.01 else quiet

    assert says(judge(candidate_of(frames(shaken, scene=town), min_fine_positivity=0.1)), "specks") == 0


def test_the_sparks_of_a_firework_count_even_if_its_brightest_moment_is_one_glare() -> None:
    def burst(when: float, quiet: Picture) -> Picture:
        return lit((2.0, 2.04), light=swarm())(when, lit((2.04, 2.08), light=sky_light(200))(when, quiet))

    assert says(judge(candidate_of(frames(burst))), "specks") < -3


def test_sparks_that_a_glare_hid_count_while_it_wanes_even_where_such_come_and_go_anyway() -> None:
    def barrage(when: float, quiet: Picture) -> Picture:
        number = round(25 * when)
        sparks = np.roll(swarm(), 10 if number >= 50 else 5 * (number % 2), axis=1)
        glare = sky_light({50: 240, 51: 20}.get(number, 0), rows=(0, HEIGHT))
        return quiet + glare + (0 if 52 <= number < 58 else sparks)

    assert says(judge(candidate_of(frames(barrage))), "specks") < -3


def test_sparks_that_a_glare_hid_count_once_it_is_gone_and_glints_that_come_and_go_anyway_do_not() -> None:
    def glare(when: float, quiet: Picture) -> Picture:
        return lit((2.0, 2.08), light=sky_light(240, rows=(0, HEIGHT)))(when, quiet)

    def burning(when: float, quiet: Picture) -> Picture:
        return glare(when, quiet + swarm() if when >= 2.0 else quiet)

    def glints(when: float, quiet: Picture) -> Picture:
        return glare(when, quiet + np.roll(swarm(), round(25 * when) % 3 * 4, axis=(0, 1)))

    assert says(judge(candidate_of(frames(burning))), "specks") < -3
    glitter = candidate_of(frames(glints))
    assert says(judge(glitter), "specks") == 0
    assert says(judge(replace(glitter, quiet=())), "specks") == 0


@pytest.mark.parametrize(("places", "lightning"), [((0, 110, 220), False), ((0, 110, 0), True)])
def test_a_light_that_shines_in_one_place_after_the_other_is_rejected_and_strokes_in_two_are_lightning(
    places: tuple[int, ...], *, lightning: bool
) -> None:
    def strokes(when: float, quiet: Picture) -> Picture:
        for number, left in enumerate(places):
            place = sky_light(60, rows=(5, 145), columns=(left, left + 100))
            quiet = lit((2.0 + 0.12 * number, 2.04 + 0.12 * number), light=place)(when, quiet)
        return quiet

    verdict = judge(candidate_of(frames(strokes)))
    assert (says(verdict, "roaming") < -3) == (not lightning)
    assert verdict.lightning == lightning


def alone(levels: float = 90) -> Picture:
    """A small soft light, as of an insect close to the lens."""
    return sky_light(levels, rows=(40, 62), columns=(150, 176))


def test_a_bright_light_that_lights_nothing_else_is_rejected_and_with_a_glow_around_it_is_not() -> None:
    insect = judge(candidate_of(frames(lit((2.0, 2.04), light=alone()))))
    assert says(insect, "reach") < -3
    assert not insect.lightning
    stroke = judge(candidate_of(frames(lit((2.0, 2.04), light=alone() + sky_light(18)))))
    assert says(stroke, "reach") == 0
    assert stroke.lightning


def test_a_small_light_that_is_bluer_than_the_scene_may_be_a_far_storm() -> None:
    def violet(_grey: Picture) -> Picture:
        return one_colour((0.9, 0.85, 1.2))

    def seen(light: Callable[[Picture], Picture]) -> Verdict:
        source = frames(lit((2.0, 2.04), light=alone(150)), scene=land() * 0 + 40)
        return judge(candidate_of(marked(source, color=tinted((40, 40, 40), light))))

    assert "reach" not in seen(violet).evidence
    assert seen(violet).lightning
    assert not seen(white).lightning


def test_a_light_at_the_lower_edge_is_a_lamp_unless_it_is_much_bluer_than_the_scene() -> None:
    def seen(light: tuple[float, ...]) -> Verdict:
        low = sky_light(150, rows=(148, 172), columns=(150, 180))
        source = frames(lit((2.0, 2.04), light=low), scene=land() * 0 + 40)
        return judge(candidate_of(marked(source, color=tinted((40, 40, 40), lambda _grey: one_colour(light)))))

    led, storm = seen((0.97, 0.95, 1.08)), seen((0.9, 0.85, 1.2))
    assert says(led, "reach") < -3
    assert says(led, "height") < -3
    assert not led.lightning
    assert "reach" not in storm.evidence
    assert "height" not in storm.evidence
    assert storm.lightning


def test_a_faint_light_is_not_asked_for_a_glow_too_faint_to_be_seen() -> None:
    faint = judge(candidate_of(frames(lit((2.0, 2.04), light=sky_light(4, rows=(30, 75), columns=(120, 200))))))
    assert "reach" not in faint.evidence


def test_a_warm_light_near_the_lower_edge_is_a_lamp_and_a_bluish_one_need_not_be() -> None:
    def seen(light: tuple[float, ...]) -> Verdict:
        low = np.zeros((HEIGHT, WIDTH), np.float32)
        low[108:180, 40:250] = 60
        source = frames(lit((2.0, 2.04), light=low), scene=land() * 0 + 40)
        return judge(candidate_of(marked(source, color=tinted((40, 40, 40), lambda _grey: one_colour(light)))))

    car, stroke = seen((1.15, 0.95, 0.8)), seen((0.95, 0.95, 1.05))
    assert says(car, "lamplight") < -3
    assert not car.lightning
    assert says(stroke, "lamplight") > 0
    assert stroke.lightning


def test_damaged_frames_need_a_higher_probability() -> None:
    candidate = candidate_of(frames(FLASH))
    settings = load_settings([("test", {"photometric": {"threshold": 0.5, "damaged_threshold": 0.995}})]).photometric
    verifier = PhotometricVerifier(settings)
    assert verifier.verify([candidate])[0].lightning
    assert not verifier.verify([replace(candidate, quality=("packet_loss",))])[0].lightning


def growing(when: float, quiet: Picture) -> Picture:
    """A light in a corner, and 0.2 s later one over the whole sky."""
    corner, sky = sky_light(60, rows=(0, 60), columns=(0, 80)), sky_light(60)
    return quiet + corner * (2.0 <= when < 2.2) + sky * (2.2 <= when < 2.28)


@pytest.mark.parametrize(
    ("change", "confirmed"),
    [
        (FLASH, True),
        (lit((2.0, 2.04), light=sky_light(60, rows=(0, 60))), False),
        (growing, False),
    ],
    ids=["most of the frame", "a third of it", "small at first"],
)
def test_light_in_damaged_frames_is_confirmed_only_where_most_of_the_frame_lights_up_at_once(
    change: Change, *, confirmed: bool
) -> None:
    candidate = candidate_of(frames(change))
    assert judge(candidate).lightning
    verdict = judge(replace(candidate, quality=("packet_loss",)))
    assert verdict.state == ("confirmed" if confirmed else "unverified")
    assert confirmed or "frames are damaged" in str(verdict.reason)


def test_what_is_not_watched_counts_as_dark_where_frames_are_damaged() -> None:
    everything, half = prefilter(), Prefilter("roof", load_settings().prefilter, region=(0.0, 0.0, 1.0, 0.4))
    whole, part = (closed(frames(FLASH), watcher)[0] for watcher in (everything, half))
    assert part.lit_fraction > 0.9
    assert judge(replace(whole, quality=("packet_loss",))).state == "confirmed"
    assert judge(replace(part, quality=("packet_loss",))).state == "unverified"


@pytest.mark.parametrize(("known", "state"), [(2, "unverified"), (3, "confirmed")])
def test_light_right_after_a_loss_is_not_confirmed_before_the_scene_is_known(known: int, state: str) -> None:
    began = 2.0 - 0.04 * known
    damaged = marked(frames(FLASH), quality=lambda frame: ("packet_loss",) if frame.seconds > began - 0.01 else ())
    assert judge(candidate_of(damaged)).state == state


def test_a_candidate_without_frames_around_it_is_still_judged() -> None:
    candidate = replace(candidate_of(frames(FLASH)), before=None, after=None)
    verdict = judge(candidate)
    assert verdict.lightning is not None
    assert "fine_positivity" not in verdict.evidence


def test_frames_of_another_size_are_not_compared() -> None:
    candidate = candidate_of(frames(FLASH))
    assert candidate.before is not None
    other = replace(candidate.before, luma=candidate.before.luma[::2, ::2])
    assert scene.fine_positivity(CandidateFeatures(replace(candidate, before=other))) is None


def test_a_weight_is_linear_between_its_ends_and_never_stronger_beyond() -> None:
    for clue in CLUES:
        middle = (clue.against + clue.clear) / 2
        assert clue.log_odds(clue.against) == pytest.approx(-clue.cost)
        assert clue.log_odds(clue.clear) == pytest.approx(clue.favour)
        assert clue.log_odds(middle) == pytest.approx((clue.favour - clue.cost) / 2)
        beyond = clue.against - (clue.clear - clue.against)
        assert clue.log_odds(beyond) == pytest.approx(-clue.cost)


def test_answers_come_in_order_and_closing_twice_is_fine() -> None:
    flash, lamp = candidate_of(frames(FLASH)), candidate_of(frames(lit((2.0, 9.0)), seconds=5))
    verifier = PhotometricVerifier(SETTINGS)
    assert [verdict.lightning for verdict in verifier.verify([lamp, flash, lamp])] == [False, True, False]
    verifier.close()
    verifier.close()
