"""What keeps time and so is a lamp, for how long it is known, and what of it is no rhythm yet."""

from collections.abc import Sequence

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid
from detector.prefilter.recurrence import PeriodicLights, RecentLights, autocorrelation_peak
from helpers.scenes import HEIGHT, WIDTH, closed, frames, lit, sky_light

Span = tuple[int, int]
FRAME = 0.04


def light(levels: float = 60, rows: Span = (20, 30), columns: Span = (10, 30)) -> Grid:
    """Rises of the blocks that a light lights."""
    rise = np.zeros((36, 64), np.float32)
    rise[slice(*rows), slice(*columns)] = levels
    return rise


def blink(lamps: PeriodicLights, start: float, rise: Grid, *, regularity: float = 0, within: float = FRAME) -> float:
    return lamps.add(start, rise > 0, rise, regularity, within=within)


def series(gaps: Sequence[float], *, within: float = FRAME) -> float:
    """What the last of some lights says, all alike, that come after these gaps."""
    lamps = PeriodicLights()
    return [blink(lamps, start, light(), within=within) for start in np.cumsum([1.0, *gaps])][-1]


def learnt(lamps: PeriodicLights, seconds: float) -> bool:
    return lamps.level(seconds) is not None


def lamp(*rises: Grid, regularity: float = 0) -> PeriodicLights:
    """Lamps that showed each of `rises` six times, the last of them at 7 seconds."""
    lamps = PeriodicLights()
    for start in range(2, 8):
        for number, rise in enumerate(rises):
            blink(lamps, start + 0.4 * number, rise, regularity=regularity)
    return lamps


def seen(period: float, rate: float, blinks: int, *, on: float = 0.2, jitter: float = 0.0) -> list[Candidate]:
    """What a camera takes of a lamp: every onset falls somewhere within a frame."""
    rng = np.random.default_rng(4)
    starts = 1.03 + period * (np.arange(blinks) + jitter * rng.standard_normal(blinks))
    bulb = np.zeros((HEIGHT, WIDTH), np.float32)
    bulb[140:170, 200:250] = 70
    spans = [(float(start), float(start) + on) for start in starts]
    return closed(frames(lit(*spans, light=bulb), rate=rate, seconds=spans[-1][1] + 1.5))


def storm(rate: float, seed: int, flashes: int = 45) -> list[Candidate]:
    """Flashes of one place and strength that come by chance, two in three seconds."""
    starts = 1.0 + np.cumsum(0.5 + np.random.default_rng(seed).exponential(1.0, flashes))
    spans = [(float(start), float(start) + 1 / rate) for start in starts]
    return closed(frames(lit(*spans, light=sky_light(60, columns=(0, 150))), rate=rate, seconds=spans[-1][1] + 1.0))


def blinks_of(found: list[Candidate]) -> list[float]:
    return [candidate.context.periodic_repeats for candidate in found]


def test_lights_are_remembered_for_a_time_and_up_to_a_number_oldest_first() -> None:
    recent: RecentLights[str] = RecentLights(seconds=60, most=3)
    for start, name in ((0, "a"), (10, "b"), (20, "c"), (30, "d")):
        recent.add(start, name)
    assert recent.before(31) == ("b", "c", "d")
    assert recent.before(75) == ("c", "d")
    assert recent.before(80) == ("c", "d"), "60 seconds are not too long ago"
    assert recent.before(91) == ()
    recent.forget()
    assert recent.before(31) == ()


def test_without_bounds_no_light_is_forgotten() -> None:
    recent: RecentLights[int] = RecentLights()
    for number in range(100):
        recent.add(1000.0 * number, number)
    assert recent.before(1e9) == tuple(range(100))


def test_what_a_clock_ahead_of_this_one_remembers_is_of_another_recording() -> None:
    recent: RecentLights[str] = RecentLights(seconds=60)
    recent.add(100, "of another recording")
    assert recent.before(5) == ()
    recent.add(5, "here")
    assert recent.before(6) == ("here",)
    assert recent.before(101) == (), "it is gone for good"


def test_five_blinks_in_time_after_the_first_are_learnt_and_four_are_not() -> None:
    lamps = PeriodicLights()
    for start in range(1, 6):
        assert not learnt(lamps, start)
        assert blink(lamps, start, light()) == (start - 1 if start > 2 else 0)
    assert not learnt(lamps, 5)
    assert blink(lamps, 6, light()) == 5
    assert learnt(lamps, 6)


def test_two_lights_are_no_rhythm_however_alike() -> None:
    assert series([]) == series([1]) == series([1, 1.37]) == 0
    assert series([1, 1]) == 2


def test_noise_at_the_edge_of_a_lamp_leaves_it_in_its_place_and_half_of_it_elsewhere_is_another_light() -> None:
    def alternately(columns: Span) -> float:
        lamps = PeriodicLights()
        return [blink(lamps, n, light(columns=columns if n % 2 else (10, 30))) for n in range(1, 8)][-1]

    assert alternately((12, 31)) == 6  # 18 of 19 columns are common
    assert alternately((14, 34)) == 3  # 16 of 20: each keeps time with its own kind only
    assert alternately((40, 60)) == 3


def test_a_small_lamp_is_in_its_place_though_noise_moves_half_of_the_blocks_that_its_glow_lights() -> None:
    rng, lamps = np.random.default_rng(3), PeriodicLights()

    def shown() -> Grid:
        glow = light(6, rows=(18, 32), columns=(17, 33)) * (rng.random((36, 64)) < 0.5)
        return np.maximum(glow, light(60, rows=(22, 28), columns=(21, 29))).astype(np.float32)

    assert [blink(lamps, start, shown()) for start in range(1, 8)][-1] == 6


def test_a_lamp_is_about_as_bright_each_time_and_strokes_are_not() -> None:
    def alternately(levels: float) -> float:
        lamps = PeriodicLights()
        return [blink(lamps, n, light(levels if n % 2 else 60)) for n in range(1, 8)][-1]

    assert alternately(49) == alternately(74) == 6
    assert alternately(45) == alternately(80) == 3


def test_a_lamp_keeps_its_period_to_some_hundredths() -> None:
    assert series([3, 3.12] * 3) == 6
    assert series([3, 3.24] * 3) < 3


def test_a_blink_or_two_that_went_unseen_leave_the_rhythm_as_it_was_and_a_longer_pause_ends_it() -> None:
    assert series([1, 1, 2, 1, 3, 1]) == pytest.approx(6, rel=0.1)
    assert series([1, 1, 1, 1, 4, 1, 1]) == pytest.approx(2, rel=0.1)
    assert series([1, 1, 2.5, 1, 1]) == pytest.approx(2, rel=0.1)


def test_lights_out_of_time_long_before_do_not_hide_a_rhythm_and_a_quicker_one_is_another() -> None:
    assert series([0.6, 1.7, 2, 2, 2, 2, 2]) == 5
    assert series([0.6, 0.6, 2, 2, 2, 2, 2]) == 5
    assert series([1.2, 1.2, 1.2, 2, 2, 2, 2, 2]) == 5


@pytest.mark.parametrize("rate", [5, 10, 25])
def test_frames_that_fall_before_and_after_a_blink_are_one_apart_and_no_more(rate: float) -> None:
    frame = 1 / rate
    assert series([19 * frame, 20 * frame] * 4, within=frame) > 7
    assert series([19 * frame, 21 * frame] * 4, within=frame) < 2
    # Of periods of 15.8 frames, one takes 15 or 16, two 31 or 32, three 47 or 48.
    assert series([15 * frame, 16 * frame, 47 * frame, 15 * frame, 32 * frame] * 2, within=frame) > 5


def test_what_is_seen_so_coarsely_that_anything_is_in_time_proves_nothing() -> None:
    assert series([0.6] * 15, within=0.4) == 0
    counts = [series([2.0] * 6, within=within) for within in (0.02, 0.1, 0.2, 0.4)]
    assert counts[0] == counts[1] == 6
    assert 4 < counts[2] < 5
    assert 2 < counts[3] < 3


@pytest.mark.parametrize(
    ("rate", "period", "enough"),
    [(25, 0.74, 8), (25, 1.57, 7), (10, 1.0, 10), (10, 1.13, 10), (5, 1.0, 15), (5, 1.13, 15)],
)
def test_a_lamp_is_learnt_at_every_rate_though_its_onsets_fall_between_frames(
    rate: float, period: float, enough: int
) -> None:
    found = seen(period, rate, 20)
    assert 6 <= len(found) <= enough
    assert max(blinks_of(found)) >= 5


def test_a_lamp_that_is_itself_unsteady_is_learnt() -> None:
    assert len(seen(2.4, 12.5, 12, jitter=0.005)) <= 8


@pytest.mark.parametrize("rate", [5, 10])
def test_the_flashes_of_a_storm_keep_no_time_however_coarsely_they_are_seen(rate: float) -> None:
    counts = [count for seed in range(3) for count in blinks_of(storm(rate, seed))]
    assert len(counts) > 90
    assert sum(count >= 3 for count in counts) <= 2
    assert max(counts) < 5


def test_a_light_that_repeats_itself_is_learnt_at_once_and_one_that_nearly_does_is_not() -> None:
    for regularity, known in ((0.8, False), (0.95, True)):
        lamps = PeriodicLights()
        blink(lamps, 1, light(), regularity=regularity)
        assert learnt(lamps, 1) == known


def test_a_lamp_that_flickers_for_some_seconds_is_learnt_by_its_light_curve() -> None:
    flicker = [(start + n * 0.4, start + n * 0.4 + 0.2) for start in (1.0, 9.0) for n in range(16)]
    bulb = np.zeros((HEIGHT, WIDTH), np.float32)
    bulb[140:170, 200:250] = 70
    found = closed(frames(lit(*flicker, light=bulb), seconds=17))
    assert [round(candidate.start_seconds, 2) for candidate in found] == [1.0]


def test_a_learnt_lamp_may_be_a_fifth_brighter_and_a_flash_of_twice_its_light_is_seen() -> None:
    level = lamp(light(60)).level(8)
    assert level is not None
    assert 1.2 * 60 < level[25, 20] < 2 * 60


def test_a_lamp_lights_only_its_own_blocks() -> None:
    lamps, rise = PeriodicLights(), light()
    for start in range(1, 7):
        lamps.add(start, rise > 0, rise + 2, 0.0, within=FRAME)
    level = lamps.level(7)
    assert level is not None
    assert level[0, 0] == 0


def test_each_of_two_lamps_in_one_frame_is_learnt_and_keeps_what_it_needs() -> None:
    level = lamp(light(60), light(20, (20, 30), (40, 60)), light(30)).level(8)
    assert level is not None
    assert level[25, 20] > 60
    assert level[25, 50] > 20


def test_what_is_learnt_lasts_for_some_minutes_and_lamps_are_switched_off() -> None:
    lamps = lamp(light())
    assert learnt(lamps, 7 + 240)
    assert not learnt(lamps, 7 + 400)
    assert not learnt(lamps, 8)


def test_a_lamp_that_goes_on_is_learnt_anew_for_as_long() -> None:
    lamps = lamp(light())
    for start in range(240, 246):
        blink(lamps, start, light())
    assert learnt(lamps, 480)


def test_in_another_place_nothing_is_known() -> None:
    lamps = lamp(light())
    lamps.forget()
    assert not learnt(lamps, 8)
    assert blink(lamps, 8, light()) == 0


def beat(period: int, length: int = 60, on: int = 4) -> Grid:
    """A light that is on for the first frames of each period."""
    return (np.arange(length) % period < on).astype(np.float32) * 50


def test_a_curve_repeats_itself_once_it_holds_five_beats_and_a_second() -> None:
    assert autocorrelation_peak(beat(12)) == pytest.approx(1)
    assert (autocorrelation_peak(beat(15)) or 0) < 0.5
    assert autocorrelation_peak(beat(6, 23, 2)) is None
    assert (autocorrelation_peak(beat(4, 24, 2)) or 0) == pytest.approx(1)


@pytest.mark.parametrize("on", [1, 5, 9])
def test_a_beat_repeats_itself_however_short_or_long_it_shines_and_while_it_grows_brighter(on: int) -> None:
    assert (autocorrelation_peak(beat(10, on=on) + np.linspace(0, 5, 60, dtype=np.float32)) or 0) > 0.9


def test_a_glow_that_fades_is_like_itself_a_little_later_but_repeats_nothing() -> None:
    fading = 100 * np.exp(-np.arange(50, dtype=np.float32) / 15)
    assert autocorrelation_peak(fading) == 0


def test_strokes_at_uneven_times_repeat_nothing() -> None:
    strokes = np.zeros(60, np.float32)
    for start in (0, 7, 19, 24, 41, 50):
        strokes[start:] += 80 * np.exp(-np.arange(60 - start, dtype=np.float32) / 2)
    assert (autocorrelation_peak(strokes) or 0) < 0.6


def test_a_curve_that_never_changes_repeats_nothing() -> None:
    assert autocorrelation_peak(np.full(40, 20, np.float32)) == 0
