"""How long a flash lasts, what belongs to it, and when it is given up as a light that came to stay."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid, Mask
from detector.prefilter.fine_change import fine_luma
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.frame_selection import FrameSelection
from detector.prefilter.lit_region import Baseline, LitBlocks, LitRegion
from detector.prefilter.structure import structure_of
from detector.prefilter.tracker import CandidateTracker
from helpers.candidates import frame
from helpers.scenes import WIDTH, Picture, closed, dark_scene, frames, lit, patch, sky_light
from stream import Frame

START = 1.2


def course(levels: Callable[[float], float], *, seconds: float = 3.4, rate: float = 25, noise: float = 1) -> Candidate:
    """The first candidate where a wide light is `levels(t)` high, t seconds after START."""

    def change(when: float, quiet: Picture) -> Picture:
        since = when - START
        return quiet + sky_light(levels(since)) if since >= -1e-6 else quiet

    return closed(frames(change, seconds=seconds, rate=rate, noise=noise))[0]


def lasted(found: Candidate) -> float:
    """Seconds claimed for a flash."""
    return round(found.end_seconds - found.start_seconds, 3)


def test_a_glow_is_part_of_a_flash_down_to_a_hundredth_and_what_drifts_below_that_is_not() -> None:
    drift = patch(6, (20, 50), (100, 130))

    def strike(when: float, quiet: Picture) -> Picture:
        since = when - START + 1e-6
        light = sky_light(180 if since < 0.08 else 5.5 if since < 0.2 else 0)
        return quiet + (0 if since < 0 else light + (drift if 0.2 <= since < 0.5 else 0))

    assert lasted(closed(frames(strike, seconds=2.6, noise=1))[0]) == pytest.approx(0.2)


def test_a_block_is_followed_to_less_than_it_needs_to_be_found_but_not_into_the_noise() -> None:
    assert lasted(course(lambda t: 30 if t < 0.07 else 2.3 if t < 0.19 else 0)) == pytest.approx(0.2)
    assert lasted(course(lambda t: 8 if t < 0.07 else 1.1 if t < 0.31 else 0)) == pytest.approx(0.08)


def test_the_core_of_a_light_tells_whether_it_is_still_in_its_place() -> None:
    halo, wave = sky_light(12), np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :]

    def overlap(first: Picture, second: Picture) -> float:
        def change(when: float, quiet: Picture) -> Picture:
            return lit((START, 1.24), light=first)(when, lit((1.24, 1.28), light=second)(when, quiet))

        return float(closed(frames(change, seconds=2))[0].curve.overlap[1])

    insects = (halo + patch(90, (30, 60), (left, left + 40)) for left in (60, 180))
    assert overlap(*insects) == 0
    assert overlap(patch(30, (20, 90), (40, 280)) * (1 + wave), patch(30, (20, 90), (40, 280)) * (2 - wave)) > 0.9


def test_the_positivity_of_a_light_is_that_of_the_moment_in_which_it_came() -> None:
    light, lost = patch(30, (20, 80), (40, 240)), patch(30, (20, 80), (240, 250))
    curve = closed(frames(lit((START, 1.36), light=light - lost), seconds=2, noise=0))[0].curve
    assert curve.positivity.max() == pytest.approx(20 / 21, abs=0.01)
    assert not curve.positivity[curve.seconds > START + 0.05].any()


def test_a_current_that_flows_on_for_half_a_second_is_a_flash_to_its_end() -> None:
    found = course(lambda t: 60 if t < 0.59 else 0)
    assert lasted(found) == pytest.approx(0.6)
    assert found.context.dark_after is True


def test_a_lamp_that_a_flash_leaves_on_is_no_part_of_it_however_dim() -> None:
    found = course(lambda t: 120 if t < 0.07 else 24, seconds=4)
    assert lasted(found) == pytest.approx(0.08)
    assert found.context.dark_after is False


def test_a_storm_whose_light_flickers_without_a_pause_is_not_taken_for_a_lamp() -> None:
    assert lasted(course(lambda t: 0 if t > 1.99 else 60 if t % 0.24 < 0.12 else 100, seconds=4)) == pytest.approx(2)


def test_a_glow_that_fades_over_a_second_is_a_flash_to_its_end() -> None:
    assert lasted(course(lambda t: 120 * np.exp(-t / 0.6), seconds=5)) > 1.2


@pytest.mark.parametrize("constant_seconds", [1.0, 3.0, 6.0])
def test_a_stroke_in_slow_motion_is_a_flash_while_its_light_goes_on_falling(constant_seconds: float) -> None:
    found = course(lambda t: 150 * np.exp(-t / constant_seconds), seconds=12)
    assert lasted(found) > 2 * constant_seconds or lasted(found) > 9.9  # no candidate is longer
    assert found.curve.rise[found.curve.lit].min() < 0.25 * found.curve.rise.max()


def test_a_light_that_swells_again_and_again_came_to_stay_though_it_gets_less() -> None:
    assert lasted(course(lambda t: 80 * np.exp(-t / 3) * (1 - 0.4 * np.cos(2 * np.pi * t)), seconds=6)) <= 0.1


def test_headlights_that_waver_came_to_stay_after_a_second() -> None:
    assert lasted(course(lambda t: 75 + 25 * np.cos(np.pi * t), seconds=3.4)) <= 0.1


@pytest.mark.parametrize("growth", [(1.105,) * 4, (1.14, 1.14, 1.14, 0.9)], ids=["evenly", "with small falls"])
def test_light_that_grows_and_grows_is_given_up_before_it_stays(growth: tuple[float, ...]) -> None:
    levels = 15 * np.cumprod([1.0, *(growth * 5)])
    assert lasted(course(lambda t: levels[round(t * 25)] if t < 0.83 else 0)) <= 0.1


def test_light_that_swells_for_a_third_of_a_second_or_only_doubles_is_a_flash() -> None:
    assert lasted(course(lambda t: 15 * 1.19 ** (25 * t) if t < 0.35 else 0)) == pytest.approx(0.36)
    assert lasted(course(lambda t: 30 * 1.04 ** (25 * t) if t < 0.75 else 0)) == pytest.approx(0.76)


@pytest.mark.parametrize("rate", [25, 240])
def test_strokes_that_outshine_each_other_are_no_light_that_grows(rate: float) -> None:
    def strokes(t: float) -> float:
        # Each takes 12 ms to rise: three frames at 240 a second, none of which doubles the light.
        return 0.0 if t > 0.79 else float(np.interp(t, [0, 0.25, 0.262, 0.5, 0.512], [18, 18, 42, 42, 95]))

    assert lasted(course(strokes, rate=rate, seconds=2.4)) == pytest.approx(0.8, abs=0.03)


def test_a_faint_steady_remainder_is_dark_and_a_quarter_of_the_light_is_not() -> None:
    assert course(lambda t: 120 if t < 0.19 else 4).context.dark_after is True
    assert course(lambda t: 120 if t < 0.19 else 30).context.dark_after is False


def test_a_flash_soon_after_another_that_left_a_faint_remainder_is_one_of_its_own() -> None:
    def change(when: float, quiet: Picture) -> Picture:
        left = quiet + sky_light(4) if when >= START else quiet
        return lit((START, 1.4), (2.16, 2.2), light=sky_light(120))(when, left)

    assert [len(found.pulses) for found in closed(frames(change, seconds=3.4))] == [1, 1]


def test_a_faint_glow_that_still_fades_is_a_flash_to_its_end() -> None:
    found = course(lambda t: 180 if t < 0.07 else max(0.0, 17 - 15 * (t - 0.08)) if t < 0.95 else 0)
    assert lasted(found) == pytest.approx(0.96, abs=0.05)


def test_the_picture_of_after_is_taken_while_clouds_have_hardly_moved() -> None:
    found = course(lambda t: 60 if t < 0.07 else 0)
    assert found.after is not None
    assert 0.1 <= found.after.seconds - found.end_seconds <= 0.16


@pytest.mark.parametrize(
    ("levels", "waning"),
    [
        pytest.param((90, 60, 44, 20), 0.08, id="half of the light is gone"),
        pytest.param((50, 20, 90, 60, 40), 0.16, id="a brighter stroke came after that"),
        pytest.param((90, 60, 50), None, id="more than half is left until it goes out"),
    ],
)
def test_the_picture_of_waning_is_the_first_lit_one_after_the_peak_with_half_its_light(
    levels: tuple[float, ...], waning: float | None
) -> None:
    found = course(lambda t: levels[round(25 * t)] if round(25 * t) < len(levels) else 0)
    since = None if found.waning is None else found.waning.seconds - START
    assert since == (None if waning is None else pytest.approx(waning, abs=0.001))


CHANNEL = np.zeros((180, 320), np.float32)
"""Where a bolt comes down: thin and bright."""
CHANNEL[20:150, 200:203] = 150.0


@pytest.mark.parametrize(
    ("shown", "clear"),
    [
        pytest.param(((90, 0), (60, 0), (20, 0)), None, id="a glow, which shows nothing more when it is weaker"),
        pytest.param(((90, 1), (60, 1), (20, 0)), None, id="the brightest shows the bolt"),
        pytest.param(((30, 0), (900, 0), (900, 0), (60, 1), (40, 0)), 0.12, id="white all over, then the bolt"),
        pytest.param(((60, 1), (900, 1), (40, 0)), 0.0, id="the bolt, then white all over"),
        pytest.param(((150, 0.15), (60, 1), (40, 0)), 0.04, id="half washed out, then the bolt"),
        pytest.param(((900, 0),), None, id="white all over and nothing else"),
    ],
)
def test_the_frame_to_show_is_the_one_with_most_structure_where_that_is_clearly_more_than_in_the_brightest(
    shown: tuple[tuple[float, float], ...], clear: float | None
) -> None:
    def change(when: float, quiet: Picture) -> Picture:
        n = round(25 * (when - START))
        if not 0 <= n < len(shown):
            return quiet
        glow, bolt = shown[n]
        return np.asarray(quiet + glow + bolt * CHANNEL, quiet.dtype)

    (found,) = closed(frames(change, seconds=2.4))
    seen = None if found.clear is None else found.clear.seconds - START
    assert seen == (None if clear is None else pytest.approx(clear, abs=0.001))
    levels = [glow for glow, _ in shown]
    assert found.peak.seconds - START == pytest.approx(levels.index(max(levels)) / 25, abs=0.001), (
        "as the verifiers see"
    )


def test_texture_that_moves_is_no_structure_of_the_light() -> None:
    dice = np.random.default_rng(3)
    texture = np.zeros((180, 320), np.float32)
    texture[dice.integers(0, 180, 400), dice.integers(0, 320, 400)] = 120.0
    still = Frame(camera="a", number=0, seconds=0.0, duration=0.04, luma=(60 + texture).astype(np.uint8))
    moved = replace(still, luma=(70 + np.roll(texture, 7, axis=1)).astype(np.uint8))
    struck = replace(still, luma=(70 + np.maximum(texture, CHANNEL)).astype(np.uint8))
    scores = [structure_of(one, fine_luma(still)) for one in (moved, struck)]
    assert scores[1] > 10 * scores[0]


def test_a_flash_right_before_a_lamp_comes_on_keeps_its_time() -> None:
    found = course(lambda t: 20 if t < 0.15 else 150, seconds=3)
    assert lasted(found) == pytest.approx(0.16)
    assert found.start_seconds <= found.peak.seconds == found.peak_seconds < found.end_seconds
    assert found.rest is not None, "what outshines it afterwards is known all the same"
    assert found.brightest.seconds > found.end_seconds


def test_a_small_stroke_after_a_large_one_is_a_pulse_of_its_own() -> None:
    small = patch(12, (40, 65), (100, 145))

    def change(when: float, quiet: Picture) -> Picture:
        return lit((START, 1.28), light=sky_light(180))(when, lit((1.52, 1.6), light=small)(when, quiet))

    assert [pulse.offset_seconds for pulse in closed(frames(change, seconds=2.6))[0].pulses] == pytest.approx([0, 0.32])


@pytest.mark.parametrize(("fall", "least", "most"), [(-1.0, 1.0, 1.0), (-2.0, 0.0, 0.3)])
def test_what_darkens_counts_from_half_of_what_is_lit_on(fall: float, least: float, most: float) -> None:
    step = np.full((36, 64), fall, np.float32)
    step[:10, :10] = 10
    change = FrameChange(step, np.zeros_like(step), dark_scene(3.0), least_blocks=20)
    assert least <= change.positivity <= most


SHAPE = (36, 64)
MIN_BLOCKS = 20


def baseline() -> Baseline:
    """Black blocks of which 20 must rise by 10 levels or more."""
    return Baseline(
        level=np.zeros(SHAPE, np.float32),
        threshold=np.full(SHAPE, 10, np.float32),
        watched=np.ones(SHAPE, np.bool_),
        min_blocks=MIN_BLOCKS,
    )


def blocks(columns: tuple[int, int], levels: float) -> Grid:
    """Ten rows of blocks, from one column up to another."""
    grid = np.zeros(SHAPE, np.float32)
    grid[:10, slice(*columns)] = levels
    return grid


def lit_by(*grids: tuple[Grid, Mask | None]) -> tuple[LitRegion, list[LitBlocks]]:
    """A region after some frames, each with the blocks in which light rose suddenly."""
    region = LitRegion(baseline())
    return region, [region.update(grid, sudden) for grid, sudden in grids]


def test_only_blocks_in_which_light_rose_suddenly_belong_to_a_flash() -> None:
    left, right, slow = blocks((0, 8), 50), blocks((32, 40), 50), blocks((50, 60), 50)
    shown = ((left, left > 0), (left + right, None), (left + right + slow, right > 0))
    region, (first, second, third) = lit_by(*shown)
    assert (first.blocks, second.blocks, third.blocks) == (80, 80, 160)
    assert (first.light, third.light) == (4000, 8000)
    assert region.size == 160
    assert region.box == pytest.approx((0, 0, 40 / 64, 10 / 36))
    assert region.peak_map.max() == 50
    assert not region.peak_map[20:].any()


def test_a_block_of_a_flash_is_lit_down_to_six_tenths_of_its_threshold() -> None:
    everywhere = blocks((0, 8), 50) > 0
    _, found = lit_by(*((blocks((0, 8), levels), everywhere) for levels in (50, 6.1, 5.9)))
    assert [one.blocks for one in found] == [80, 80, 0]
    assert found[-1] == LitBlocks(light=0.0, centroid=(0.5, 0.5), peak_rise=0.0, blocks=0, overlap=0.0)


def test_the_centre_of_the_light_is_weighted_by_its_levels_and_its_highest_block_is_told() -> None:
    grid = blocks((0, 8), 30) + blocks((8, 16), 90)
    (found,) = lit_by((grid, grid > 0))[1]
    assert found.centroid == pytest.approx(((0.25 * 4 + 0.75 * 12) / 64, 5 / 36))
    assert found.peak_rise == 90


def test_a_region_that_nothing_lit_is_the_whole_frame() -> None:
    region, _ = lit_by((blocks((0, 8), 50), None))
    assert (region.size, region.box) == (1, (0.0, 0.0, 1.0, 1.0))


def test_what_a_time_lapse_shows_after_a_flash_is_never_the_frame_to_show() -> None:
    def change(when: float, quiet: Picture) -> Picture:
        """A far bolt in a glow, in one frame; where clouds moved until the next ones, edges stand out more than it."""
        if when < START - 1e-6:
            return quiet
        if when < START + 0.02:
            return np.asarray(quiet + 80 + 0.2 * CHANNEL, quiet.dtype)
        moved = quiet.copy()
        moved[10:110:14, 20:300] += 70
        return moved

    (found, *_) = closed(frames(change, seconds=3.0, noise=0.5))
    assert (found.peak.seconds, found.clear) == (pytest.approx(START), None)


def test_frames_are_selected_by_their_light_and_by_how_long_it_is_dark() -> None:
    onset, reference = frame(30, seconds=1.0), frame(30, seconds=0.96)
    chosen = FrameSelection(onset, reference, history=())
    shown = [frame(30, seconds=1 + number / 25) for number in range(10)]
    for one, light in zip(shown, (50, 90, 60, 44, 20, 0, 0, 0, 0, 0), strict=True):
        chosen.update(one, light, None if light else 1.2)
    assert (chosen.onset, chosen.reference) == (onset, reference)
    whole = chosen.until(shown[4].seconds)
    assert (whole.peak, whole.waning, whole.clear) == (shown[1], shown[3], None)
    assert whole.after is shown[8], "0.12 s into the dark; the next one is 0.16 s"


def test_a_span_that_ends_earlier_has_frames_of_its_own() -> None:
    onset = frame(30, seconds=1.0)
    chosen = FrameSelection(onset, None, history=())
    shown = [frame(30, seconds=1 + number / 25) for number in range(6)]
    for one, light in zip(shown, (50, 90, 40, 200, 210, 90), strict=True):
        chosen.update(one, light, None)
    assert [chosen.until(one.seconds).peak for one in shown] == [shown[n] for n in (0, 1, 1, 3, 4, 4)]
    assert [chosen.until(one.seconds).waning for one in shown[:4]] == [None, shown[2], shown[2], None]
    assert [chosen.until(one.seconds).rest for one in shown] == [shown[4]] * 4 + [None] * 2


def test_of_light_that_grows_and_grows_few_frames_are_held() -> None:
    chosen = FrameSelection(frame(30, seconds=1.0), None, history=())
    shown = [frame(30, seconds=1 + number / 25) for number in range(100)]
    for number, one in enumerate(shown):
        chosen.update(one, 100 + number, None)
    held = {id(chosen.until(one.seconds).peak) for one in shown}
    assert len(held) <= 9
    assert chosen.until(shown[-1].seconds).peak is shown[-1]


def test_weak_light_after_the_flash_does_not_take_the_place_of_after() -> None:
    chosen = FrameSelection(frame(30, seconds=1.0), None, history=())
    shown = [frame(30, seconds=1 + number / 25) for number in range(12)]
    for number, one in enumerate(shown):
        weak = number in (6, 7)
        dark_from = None if number == 0 or weak else (1.04 if number < 6 else 1.32)
        chosen.update(one, 90 if number == 0 else 2, dark_from, None if number == 0 else 1.04)
    assert chosen.until(shown[0].seconds).after is shown[4]


def test_while_it_is_lit_the_last_frame_stands_for_after_unless_that_is_the_peak() -> None:
    first, second = frame(30, seconds=1.0), frame(30, seconds=1.04)
    chosen = FrameSelection(first, None, history=())
    chosen.update(first, 90, None)
    assert chosen.until(first.seconds).after is None
    chosen.update(second, 50, None)
    assert chosen.until(second.seconds).after is second


def tracker(**limits: float) -> CandidateTracker:
    """A candidate whose onset lit 80 blocks by 50 levels at 1 s."""
    onset, grid = frame(30, seconds=1.0), blocks((0, 8), 50)
    opened = CandidateTracker(
        "roof-1", FrameSelection(onset, None, ()), baseline(), **{"gap_seconds": 0.5, "max_seconds": 10.0, **limits}
    )
    opened.update(onset, grid, change_of(grid), joins=True)
    return opened


def change_of(grid: Grid, earlier: Grid | None = None) -> FrameChange:
    black = np.zeros(SHAPE, np.float32)
    return FrameChange(grid, black if earlier is None else earlier, dark_scene(10.0), least_blocks=MIN_BLOCKS)


def test_a_candidate_is_finished_when_it_has_been_dark_for_the_gap_or_runs_too_long() -> None:
    dark = np.zeros(SHAPE, np.float32)
    for seconds, limit, finished in ((1.44, 10.0, False), (1.56, 10.0, True), (1.24, 0.2, True)):
        opened = tracker(max_seconds=limit)
        for number in range(1, round(25 * (seconds - 1)) + 1):
            opened.update(frame(30, seconds=1 + number / 25), dark, change_of(dark), joins=False)
        assert opened.is_finished(seconds) == finished
        assert opened.has_ended(seconds) == (finished and limit == 10.0)
    assert tracker().dark_from is None


@pytest.mark.parametrize(
    ("levels", "rows", "fallen", "restrikes"),
    [
        pytest.param(50, 10, 0, True, id="a quarter of the light"),
        pytest.param(30, 10, 0, False, id="a seventh of it"),
        pytest.param(120, 4, 0, False, id="fewer than half the blocks of an onset"),
        pytest.param(50, 10, 60, False, id="as much falls below what was there before"),
        pytest.param(50, 10, 9, True, id="what falls is less than counts as lit"),
    ],
)
def test_beside_a_light_that_shines_a_marked_step_of_half_the_blocks_is_a_stroke(
    levels: float, rows: int, fallen: float, *, restrikes: bool
) -> None:
    first, second = blocks((0, 8), 50), np.zeros(SHAPE, np.float32)
    second[:rows, 32:34] = levels
    second[30:, :20] = -fallen
    assert tracker().is_restrike(change_of(first + second, first)) == restrikes
