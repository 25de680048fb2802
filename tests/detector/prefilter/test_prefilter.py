"""What becomes a candidate, and what does not."""

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from detector.prefilter.blocks import block_luma
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
from stream import Frame

FLASH = (2.0, 2.04)


def test_a_flash_of_one_frame_opens_with_that_frame_and_closes_once() -> None:
    watcher, opened, ended = prefilter(), [], []
    for frame in frames(lit(FLASH)):
        for candidate in watcher.push(frame):
            (opened if candidate.open else ended).append((frame.seconds, candidate))
    assert [when for when, _ in opened] == [2.0]
    assert [candidate.id for _, candidate in ended] == [opened[0][1].id]
    found = ended[0][1]
    assert (found.start_seconds, found.end_seconds) == pytest.approx((2.0, 2.04))
    assert len(found.pulses) == 1
    assert found.pulses[0].rise_levels > 30
    assert found.centroid[1] < 0.5
    assert found.before is not None
    assert found.after is not None


@pytest.mark.parametrize("seed", range(6))
def test_a_small_flash_of_five_times_the_noise_of_a_block_is_found(seed: int) -> None:
    noise = 12.0  # of a pixel; a block of 25 pixels has a fifth of it
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    light[40:65, 100:145] = 5.5 * noise / 5  # 45 of 2304 blocks
    found = closed(frames(lit(FLASH, light=light), noise=noise, seed=seed))
    assert [candidate.start_seconds for candidate in found] == [2.0]


@pytest.mark.parametrize("noise", [1.0, 8.0, 20.0])
def test_noise_alone_is_no_candidate(noise: float) -> None:
    assert not watch(frames(still, seconds=12, noise=noise))


@pytest.mark.parametrize("rate", [5, 10, 15, 25, 29.97, 60, 120, 240])
def test_a_flash_is_found_at_every_rate_within_a_frame_of_its_onset(rate: float) -> None:
    length = max(0.03, 1 / rate)
    start = round(2.0 * rate) / rate

    def rising(when: float, quiet: Picture) -> Picture:
        # The light takes 8 ms to rise: at 240 fps that is spread over several frames.
        share = np.clip((when - start) / 0.008, 0.1, 1) if start - 1e-6 <= when < start + length - 1e-6 else 0.0
        return quiet + sky_light(50) * np.float32(share)

    found = closed(frames(rising, rate=rate, seconds=3.5))
    assert len(found) == 1
    assert found[0].start_seconds == pytest.approx(start, abs=1 / rate + 0.005)


def test_a_band_of_a_rolling_shutter_is_found_and_its_other_part_in_the_next_frame_belongs_to_it() -> None:
    lower, upper = sky_light(70), sky_light(70)
    lower[:90], upper[90:] = 0, 0

    def band(when: float, quiet: Picture) -> Picture:
        return quiet + (lower if abs(when - 2.0) < 0.01 else upper if abs(when - 2.04) < 0.01 else 0)

    found = closed(frames(band))
    assert len(found) == 1
    assert found[0].end_seconds == pytest.approx(2.08)
    assert found[0].box[1] == 0.0


def test_every_frame_twice_changes_nothing() -> None:
    def doubled() -> Iterator[Frame]:
        for frame in frames(lit((2.0, 2.07)), rate=15):
            for half in range(2):
                yield Frame("roof", 2 * frame.number + half, frame.seconds + half / 30, 1 / 30, frame.luma)

    found = closed(doubled())
    assert [candidate.start_seconds for candidate in found] == [2.0]


def test_times_that_jitter_and_lack_frames_change_nothing() -> None:
    rng = np.random.default_rng(3)

    def uneven() -> Iterator[Frame]:
        for frame in frames(lit((2.0, 2.12))):
            if frame.number % 7 != 3:
                seconds = frame.seconds + float(rng.uniform(0, 0.01))
                yield Frame("roof", frame.number, seconds, 0.04, frame.luma)

    found = closed(uneven())
    assert len(found) == 1
    assert found[0].start_seconds == pytest.approx(2.0, abs=0.011)


def test_a_flash_in_the_second_frame_of_a_recording_is_found() -> None:
    assert [c.start_seconds for c in closed(frames(lit((0.04, 0.2)), seconds=2))] == [0.04]


def test_a_faint_light_counts_only_once_the_noise_is_known() -> None:
    faint = lit((0.16, 0.2), (2.16, 2.2), light=sky_light(4.5))
    assert [round(c.start_seconds, 2) for c in closed(frames(faint))] == [2.16]


@pytest.mark.parametrize("seed", range(1, 6))
def test_light_that_grows_slowly_is_no_candidate_though_noise_makes_some_blocks_jump(seed: int) -> None:
    def dawn(when: float, quiet: Picture) -> Picture:
        return quiet + sky_light(min(60.0, max(0.0, 15 * (when - 1))))

    assert not watch(frames(dawn, seconds=4, seed=seed))


def test_what_moves_is_no_candidate_though_it_brightens_the_place_it_comes_to() -> None:
    def car(when: float, quiet: Picture) -> Picture:
        picture = quiet.copy()
        left = int(20 + 60 * when)
        picture[100:140, left : left + 60] = 150
        return picture

    assert not watch(frames(car, seconds=3.5))


def test_what_moves_within_a_block_is_seen_closer() -> None:
    fence = land()
    fence[:, :] = 60
    fence[20:90, ::20] = fence[90:160, 4::20] = 200

    def shaken(when: float, quiet: Picture) -> Picture:
        # Posts get wider on one side by more than they lose on the other: every block on them gets brighter.
        if abs(when - 2.0) > 0.01:
            return quiet
        # Above to the right, below to the left: no camera moves like that.
        moved = np.concatenate([np.roll(quiet[:90], 2, axis=1), np.roll(quiet[90:], -2, axis=1)])
        moved[20:90, 3::20] = moved[20:90, 4::20] = moved[20:90, 5::20] = 130
        moved[90:160, 1::20] = moved[90:160, ::20] = moved[90:160, 19::20] = 130
        return moved

    assert closed(frames(shaken, scene=fence), prefilter(min_fine_positivity=0.1))
    assert not watch(frames(shaken, scene=fence), prefilter())


def test_a_rise_out_of_a_short_dark_spell_is_no_candidate() -> None:
    def wiper(when: float, quiet: Picture) -> Picture:
        return quiet * np.float32(0.5) if 2.0 <= when < 2.1 else quiet

    assert not watch(frames(wiper, scene=land(90)))


def test_a_place_that_flickers_all_the_time_is_known_there_and_a_flash_elsewhere_still_found() -> None:
    rng = np.random.default_rng(8)
    water = np.zeros((HEIGHT, WIDTH), np.float32)
    water[125:175, 20:300] = 1

    def glints(when: float, quiet: Picture) -> Picture:
        grid = np.kron(rng.uniform(0, 50, (18, 32)).astype(np.float32), np.ones((10, 10), np.float32))
        return lit((3.0, 3.08), light=sky_light(40, rows=(0, 60)))(when, quiet + water * grid)

    assert [c.start_seconds for c in closed(frames(glints, seconds=5))] == [3.0]


def test_pulses_closer_than_the_gap_are_one_candidate_and_others_two() -> None:
    assert [len(c.pulses) for c in closed(frames(lit((2.0, 2.08), (2.4, 2.48)), seconds=4))] == [2]
    assert [len(c.pulses) for c in closed(frames(lit((2.0, 2.08), (2.64, 2.72)), seconds=4))] == [1, 1]


def test_a_restrike_out_of_the_glow_is_a_pulse_of_its_own() -> None:
    def strokes(when: float, quiet: Picture) -> Picture:
        after = [when - start for start in (2.0, 2.2) if when >= start - 1e-6]
        return quiet + sky_light(80) * np.float32(np.exp(-after[-1] / 0.06)) if after else quiet

    found = closed(frames(strokes))
    assert [len(c.pulses) for c in found] == [2]
    assert found[0].pulses[1].offset_seconds == pytest.approx(0.2)


def test_a_storm_that_never_stops_is_a_row_of_candidates_of_bounded_length() -> None:
    rng = np.random.default_rng(2)

    def storm(when: float, quiet: Picture) -> Picture:
        return quiet + sky_light(float(rng.choice([0, 25, 80, 160])) if when > 1 else 0)

    found = watch(frames(storm, seconds=16), prefilter(max_candidate_seconds=4.0))
    ended = [c for c in found if not c.open]
    assert len(ended) >= 3
    assert [c.id for c in found if c.open] == [c.id for c in ended]
    assert max(c.end_seconds - c.start_seconds for c in ended) <= 4.1


def test_light_that_comes_and_stays_is_given_up_and_no_time_is_claimed_for_it() -> None:
    found = closed(frames(lit((2.0, 9.0)), seconds=7))
    assert len(found) == 1
    assert found[0].end_seconds - found[0].start_seconds <= 0.1
    assert found[0].context.dark_after is False


def test_a_view_that_opens_bit_by_bit_is_given_up() -> None:
    def opening(when: float, quiet: Picture) -> Picture:
        share = np.clip((when - 2) / 2.0, 0, 1)
        first = 1 if when >= 2 else 0
        wide = int(20 * first + 120 * share)
        picture = quiet.copy()
        picture[60:120, 160 - wide : 160 + wide] = 180
        return picture

    found = closed(frames(opening, seconds=3.8))
    assert found
    assert sum(c.end_seconds - c.start_seconds for c in found if c.start_seconds < 3) < 0.5


def test_what_is_left_steady_and_faint_does_not_keep_a_flash_open() -> None:
    def drifted(when: float, quiet: Picture) -> Picture:
        left = sky_light(4) if when >= 2 else 0
        return lit((2.0, 2.2), light=sky_light(120))(when, quiet + left)

    found = closed(frames(drifted, seconds=4))
    assert [round(c.end_seconds, 2) for c in found] == [2.2]


@pytest.mark.parametrize("after_seconds", [0.7, 1.8])
def test_exposure_that_comes_back_after_a_strike_is_no_new_flash(after_seconds: float) -> None:
    def dip(when: float, quiet: Picture) -> Picture:
        since = when - 2.08
        gain = 1.0 if since < 0 else 0.6 + 0.4 * np.clip((since - after_seconds) / 0.12, 0, 1)
        return lit((2.0, 2.08), light=sky_light(90))(when, quiet * np.float32(gain))

    assert [c.start_seconds for c in closed(frames(dip, scene=land(90), seconds=4.5))] == [2.0]


def test_pictures_of_another_epoch_are_not_compared() -> None:
    jump = lit((2.0, 9.0))
    assert watch(frames(jump, seconds=3))
    assert not watch(marked(frames(jump, seconds=3), epoch=lambda frame: int(frame.seconds >= 2.0)))


def test_pictures_are_never_compared_across_the_edge_of_damage_and_damaged_flashes_say_so() -> None:
    damaged = {"quality": lambda frame: ("packet_loss",) if 2.0 <= frame.seconds < 3.0 else ()}
    assert not watch(marked(frames(lit((2.0, 3.0)), seconds=4), **damaged))
    found = closed(marked(frames(lit((2.4, 2.48)), seconds=4), **damaged))
    assert [c.quality for c in found] == [("packet_loss",)]


def test_an_edge_of_damage_closes_what_is_open() -> None:
    flash = frames(lit((1.8, 2.2)), seconds=4)
    found = watch(marked(flash, quality=lambda frame: ("packet_loss",) if frame.seconds >= 2.0 else ()))
    assert [c.open for c in found[:2]] == [True, False]
    assert found[1].end_seconds <= 2.0


def test_masked_places_and_places_outside_the_region_are_not_watched() -> None:
    settings = load_settings().prefilter
    light = sky_light(80, rows=(0, 60), columns=(0, 120))
    flash = lit(FLASH, light=light)
    left = ((0.0, 0.0), (0.45, 0.0), (0.45, 0.4), (0.0, 0.4))
    assert not watch(frames(flash), Prefilter("roof", settings, mask=(left,)))
    assert not watch(frames(flash), Prefilter("roof", settings, region=(0.5, 0.0, 1.0, 1.0)))
    assert watch(frames(flash), Prefilter("roof", settings, region=(0.0, 0.0, 0.5, 0.5)))


def test_a_lamp_that_keeps_time_is_learnt_and_lightning_is_still_seen() -> None:
    lamp = np.zeros((HEIGHT, WIDTH), np.float32)
    lamp[140:170, 200:250] = 70

    def blinking(when: float, quiet: Picture) -> Picture:
        picture = quiet + lamp if when % 1.2 < 0.2 else quiet
        return lit((13.52, 13.6))(when, picture)

    found = [c.start_seconds for c in closed(frames(blinking, seconds=15)) if c.context.frames_before]
    assert found[0] == pytest.approx(1.2)
    assert 3 <= sum(start < 8 for start in found) <= 6
    assert [start for start in found if start > 8] == [pytest.approx(13.52)]


def test_a_candidate_is_named_by_camera_and_time_and_no_two_share_a_name() -> None:
    spans = ((2.0, 2.04), (3.0, 3.04))
    names = [c.id for c in closed(frames(lit(*spans)))]
    assert [name[:-4] for name in names] == ["roof-2.000s-", "roof-3.000s-"]
    assert len({c.id for _ in range(3) for c in closed(frames(lit(*spans)))}) == 6
    dated = closed(marked(frames(lit(FLASH)), utc=lambda frame: 1_795_000_000.372 + frame.seconds))
    assert dated[0].id[:-4] == "roof-20261118T110642.372Z-"


def test_few_pictures_are_held_whatever_the_rate() -> None:
    watcher, alive = prefilter(), []
    for frame in frames(lit((1.0, 1.3), (1.4, 1.6)), rate=240, seconds=2):
        watcher.push(frame)
        alive.append(weakref.ref(frame.luma.base if frame.luma.base is not None else frame.luma))
    del frame
    gc.collect()
    assert sum(reference() is not None for reference in alive) <= 10


def test_one_picture_is_held_while_nothing_happens() -> None:
    watcher, alive = prefilter(), []
    for frame in frames(still, rate=240, seconds=1.1):
        watcher.push(frame)
        alive.append(weakref.ref(frame.luma))
    del frame
    gc.collect()
    assert sum(reference() is not None for reference in alive) == 1


def test_blocks_are_levels_whatever_the_depth_range_size_and_rotation() -> None:
    rng = np.random.default_rng(4)
    for height, width in ((1080, 1920), (360, 640), (640, 360), (100, 50), (37, 53), (2, 2)):
        luma = rng.integers(16, 235, (height, width), dtype=np.uint8)
        grid = block_luma(Frame("c", 0, 0.0, 0.04, luma))
        assert max(grid.shape) <= 64
        assert grid.mean() == pytest.approx((luma.mean() - 16) * 255 / 219, abs=4)
    deep = np.full((90, 160), 64 + 2 * 219, np.uint16)
    assert block_luma(Frame("c", 0, 0.0, 0.04, deep, black=64, white=940)) == pytest.approx(127.5)
    half = np.zeros((90, 160), np.uint8)
    half[:, :80] = 255
    turned = block_luma(Frame("c", 0, 0.0, 0.04, half, black=0, white=255, rotation=90))
    assert turned.shape[0] > turned.shape[1]
    assert turned[-1].mean() == 255
    assert turned[0].mean() == 0


def test_a_change_of_size_starts_anew() -> None:
    def two_sizes() -> Iterator[Frame]:
        yield from frames(still, seconds=2)
        for frame in frames(lit((1.0, 1.04)), seconds=2):
            yield Frame("roof", 50 + frame.number, 2 + frame.seconds, 0.04, frame.luma[::2, ::2] + 40)

    assert [c.start_seconds for c in closed(two_sizes())] == [3.0]


def test_no_picture_is_passed_over_as_calm_that_a_full_look_would_call_an_onset() -> None:
    rng = np.random.default_rng(12)
    onsets = 0
    for light in np.linspace(3.1, 4.4, 60):
        # As large and bright as the least that is sought, with a fainter edge, some of it come a little before.
        levels = patch(light, (20, 35), (100, 100 + 5 * int(rng.integers(5, 9))))
        levels += patch(rng.uniform(1.8, 2.0), (35, 45), (100, 130))
        early = rng.choice([0.0, 0.1, 0.3])

        def faint(when: float, quiet: Picture, levels: Picture = levels, early: float = early) -> Picture:
            return quiet + levels * (1.0 if when >= 1.5 else early) * (1.4 <= when < 1.6)

        watcher = prefilter()
        for frame in frames(faint, seconds=1.56, noise=0.2):
            watcher.push(frame)
            if watcher.change is not None:
                sudden = np.count_nonzero(watcher.change.sudden)
                onsets += sudden >= watcher.change.least_blocks
                assert not watcher.change.calm or sudden <= watcher.change.most_blocks
    assert onsets > 20
