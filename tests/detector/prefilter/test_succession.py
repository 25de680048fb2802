"""What comes right after a light: strokes of the same flash, another flash, and what each is compared with."""

import numpy as np
import pytest

from detector.candidate import Candidate
from helpers.scenes import HEIGHT, WIDTH, Picture, closed, frames, land, lit, patch, prefilter, sky_light

SKY = sky_light(60, rows=(0, 90))


def starts(found: list[Candidate]) -> list[float]:
    return [round(candidate.start_seconds, 2) for candidate in found]


@pytest.mark.parametrize("rate", [25, 30])
def test_strokes_with_one_dark_picture_between_them_are_two_pulses(rate: float) -> None:
    first, second = ((start / rate, (start + 1) / rate) for start in (2 * rate, 2 * rate + 2))
    (found,) = closed(frames(lit(first, second), rate=rate, seconds=3))
    assert [pulse.offset_seconds for pulse in found.pulses] == pytest.approx([0, 2 / rate], abs=1e-5)
    assert found.end_seconds == pytest.approx(second[1])


def test_a_stroke_whose_first_picture_shows_a_little_of_it_is_whole_with_the_second() -> None:
    band, rest = patch(25, (60, 65), (100, 180)), patch(60, (65, 100), (100, 180))  # 16 blocks of 23 asked for, and 112

    def rising(when: float, quiet: Picture) -> Picture:
        share = 1.0 if when < 2.04 - 1e-6 else 2.4
        return lit((2.0, 2.08), light=band * np.float32(share))(when, lit((2.04, 2.08), light=rest)(when, quiet))

    (found,) = closed(frames(rising, seconds=2.8, noise=1))
    assert found.box[1] == pytest.approx(60 / HEIGHT)


def test_a_small_stroke_that_takes_three_pictures_to_rise_beside_one_that_shines_is_part_of_the_flash() -> None:
    first, second = patch(8, (20, 45), (40, 75)), patch(9, (20, 40), (200, 220))

    def strokes(when: float, quiet: Picture) -> Picture:
        risen = float(np.interp(240 * (when - 1.25), [0, 1, 2, 3], [0, 0.27, 0.6, 1])) if when < 1.5 else 0.0
        return lit((1.2, 1.5), light=first)(when, quiet + second * np.float32(risen))

    (found,) = closed(frames(strokes, rate=240, seconds=2.2, noise=0.3))
    assert found.box[2] == pytest.approx(220 / 320)


@pytest.mark.parametrize(("rate", "start"), [(10, 2.0), (10, 1.7), (50, 1.74), (50, 3.14)])
def test_a_flash_that_comes_when_the_last_one_has_been_dark_for_the_gap_is_another(rate: float, start: float) -> None:
    def found(gap: float) -> list[Candidate]:
        again = start + 1 / rate + gap
        return closed(frames(lit((start, start + 1 / rate), (again, again + 1 / rate)), rate=rate, seconds=5))

    first, second = found(0.5)
    assert [len(first.pulses), len(second.pulses)] == [1, 1]
    assert second.start_seconds == pytest.approx(start + 1 / rate + 0.5)
    assert second.before is not None
    assert second.start_seconds - second.before.seconds <= 0.1 + 1e-6
    assert first.before is not None
    assert second.before.luma is not first.before.luma
    assert [len(one.pulses) for one in found(0.5 - 1 / rate)] == [2]


@pytest.mark.parametrize("dark", [0.0, 0.3])
def test_what_comes_after_the_bound_of_one_candidate_is_compared_with_the_picture_of_before_the_storm(
    dark: float,
) -> None:
    rng = np.random.default_rng(3)
    levels = [0 if rng.random() < dark else float(rng.choice([30, 70, 140])) for _ in range(125)]

    def storm(when: float, quiet: Picture) -> Picture:
        number = round(25 * (when - 1.2))
        return quiet + sky_light(levels[number] if 0 <= number < len(levels) else 0)

    first, second, *_ = closed(frames(storm, seconds=7), prefilter(max_candidate_seconds=2.0))
    assert first.before is not None
    assert second.before is not None
    assert second.before.luma is first.before.luma
    assert second.start_seconds - second.before.seconds < 0.05


def test_a_flash_over_a_light_that_stays_is_compared_with_what_that_light_shows() -> None:
    lamp = patch(90, (120, 170), (40, 280))

    def change(when: float, quiet: Picture) -> Picture:
        return lit((1.2, 9.0), light=lamp)(when, lit((3.2, 3.28), light=SKY)(when, quiet))

    first, second = closed(frames(change, seconds=4))
    assert first.before is not None
    assert second.before is not None
    assert second.before.luma[140:160, 100:200].mean() > first.before.luma[140:160, 100:200].mean() + 60


def test_a_flash_with_a_faint_echo_of_itself_does_not_make_its_place_blind() -> None:
    """At 60 pictures a second, the dark half second after a flash holds enough of them to repeat something."""
    flash, echo, second = (
        patch(120, (20, 60), (100, 200)),
        patch(2, (20, 60), (100, 200)),
        patch(60, (20, 60), (100, 200)),
    )

    def change(when: float, quiet: Picture) -> Picture:
        picture = lit((2.0, 2.01), light=flash)(when, lit((2.08, 2.09), light=echo)(when, quiet))
        return lit((5.0, 5.01), light=second)(when, picture)

    assert starts(closed(frames(change, rate=60, seconds=5.8, noise=0.1))) == [2.0, 5.0]


def test_no_light_of_a_flash_is_among_what_tells_the_next_one_what_the_scene_does_by_itself() -> None:
    found = closed(frames(lit((2.0, 2.5), (3.2, 3.28), light=SKY), seconds=4.2))
    assert len(found) == 2
    assert found[0].before is not None
    usual = float(found[0].before.luma.mean())
    for one in found:
        assert len(one.quiet) == 4
        assert [float(picture.luma.mean()) for picture in one.quiet] == pytest.approx([usual] * 4, abs=1)


def flickering(when: float, until: float) -> Picture:
    """A storm from 1.2 s on that never pauses."""
    return sky_light((60 if (when - 1.2) % 0.24 < 0.12 else 100) if 1.2 - 1e-6 <= when < until - 1e-6 else 0)


def test_the_exposure_that_comes_back_after_a_storm_that_ended_with_the_bound_of_its_candidate_is_no_flash() -> None:
    def dip(when: float, quiet: Picture) -> Picture:
        gain = 1.0 if when < 3.24 - 1e-6 else float(np.interp(when, [4.3, 4.42], [0.6, 1.0]))
        return quiet * np.float32(gain) + flickering(when, 3.24)

    watcher = prefilter(max_candidate_seconds=2.0)
    assert starts(closed(frames(dip, scene=land(90), seconds=5.2), watcher)) == [1.2]


def test_what_went_out_in_a_storm_is_seen_to_come_on_again_though_the_bound_of_its_candidate_fell_in_a_pause() -> None:
    storm = lit(*((start, start + 0.04) for start in (1.2, 1.6, 2.0, 2.4, 2.8)), light=SKY)
    lamp = patch(100, (140, 165), (100, 180))

    def change(when: float, quiet: Picture) -> Picture:
        return storm(when, quiet + (0 if 1.24 - 1e-6 <= when < 4.0 - 1e-6 else lamp))

    assert starts(closed(frames(change, seconds=4.8), prefilter(max_candidate_seconds=2.0))) == [1.2, 4.0]


def white_out(when: float) -> Picture:
    """Light that saturates most of the frame from 1.2 s on, for a quarter of a second."""
    return sky_light(900 if 1.2 - 1e-6 <= when < 1.4 else 90 if 1.2 <= when < 1.48 else 0, rows=(0, HEIGHT))


def test_the_strokes_after_a_white_out_belong_to_it_though_it_outshines_them_by_far() -> None:
    """Continuing current carries a tenth of the white-out's light on, and strokes of as much flicker over it."""
    strokes = lit((1.72, 1.8), (2.0, 2.08), (2.4, 2.48), (2.8, 2.88), light=sky_light(40, rows=(0, HEIGHT)))

    def change(when: float, quiet: Picture) -> Picture:
        current = sky_light(14 if 1.48 <= when < 3.2 - 1e-6 else 0, rows=(0, HEIGHT))
        return strokes(when, quiet + white_out(when) + current)

    (found,) = closed(frames(change, seconds=4.4, noise=1))
    begins = [found.start_seconds + pulse.offset_seconds for pulse in found.pulses]
    for stroke in (1.72, 2.0, 2.4, 2.8):
        assert min(abs(begin - stroke) for begin in begins) < 0.041
    assert found.end_seconds == pytest.approx(3.2, abs=0.05)


def test_a_ghost_of_a_flash_does_not_join_the_next_one_to_it() -> None:
    """A codec shows a trace of the flash again, whole-frame and as faint as it can be told."""
    ghosts = lit((1.72, 1.76), (1.92, 1.96), light=np.full((HEIGHT, WIDTH), 5, np.float32))

    def change(when: float, quiet: Picture) -> Picture:
        return ghosts(when, lit((2.2, 2.28), light=sky_light(150))(when, quiet + white_out(when)))

    assert starts(closed(frames(change, seconds=3.2, noise=0.5))) == [1.2, 2.2]


def test_a_small_bright_stroke_of_a_far_cell_joins_what_its_share_of_the_light_would_not() -> None:
    cell = lit((1.72, 1.76), (1.92, 1.96), light=patch(80, (20, 45), (270, 310)))

    def change(when: float, quiet: Picture) -> Picture:
        return cell(when, lit((2.2, 2.28), light=sky_light(150))(when, quiet + white_out(when)))

    (found,) = closed(frames(change, seconds=3.2, noise=0.5))
    assert found.end_seconds == pytest.approx(2.28)


def test_a_stroke_that_begins_weak_before_the_gap_is_over_belongs_to_the_flash() -> None:
    def change(when: float, quiet: Picture) -> Picture:
        stroke = sky_light(float(np.interp(when, [1.9, 2.0, 2.04, 2.08], [5, 5, 150, 0])))
        return quiet + white_out(when) + (stroke if 1.9 <= when < 2.1 else 0)

    assert starts(closed(frames(change, seconds=3.2, noise=0.5))) == [1.2]


@pytest.mark.parametrize("left", [3.0, 6.0])
def test_a_stroke_over_a_faint_remainder_of_the_last_flash_is_seen_in_its_first_frame(left: float) -> None:
    """The remainder rises a little, as codecs let it: no glow. The frame that ends it is the next onset."""

    def change(when: float, quiet: Picture) -> Picture:
        rest = sky_light(left + (when - 1.5) if 1.4 <= when < 3 else 0)
        return lit((1.92, 2.0), light=sky_light(70))(
            when, quiet + rest + lit((1.2, 1.4), light=sky_light(120))(when, 0)
        )

    first, second = closed(frames(change, seconds=3.4, noise=0.5))
    assert first.end_seconds == pytest.approx(1.4)
    assert second.start_seconds == pytest.approx(1.92)


def test_every_pulse_of_a_flash_of_two_places_tells_where_it_was() -> None:
    """Two cells take turns, each in a veil of glare over the whole frame."""
    veil = np.full((HEIGHT, WIDTH), 8, np.float32)
    left, right = (patch(90, (20, 60), columns) for columns in ((20, 80), (230, 300)))

    def cells(when: float, quiet: Picture) -> Picture:
        return lit((2.0, 2.08), (2.6, 2.68), light=left + veil)(
            when, lit((2.3, 2.38), (2.9, 2.98), light=right + veil)(when, quiet)
        )

    (found,) = closed(frames(cells, seconds=4, rate=50))
    assert [pulse.offset_seconds for pulse in found.pulses] == pytest.approx([0, 0.3, 0.6, 0.9])
    for pulse, (begin, end) in zip(found.pulses, ((20, 80), (230, 300)) * 2, strict=True):
        assert pulse.box == pytest.approx((begin / WIDTH, 20 / HEIGHT, end / WIDTH, 60 / HEIGHT))
        assert pulse.centroid == pytest.approx(((begin + end) / 2 / WIDTH, 40 / HEIGHT), abs=0.01)
        assert pulse.rise_levels > 10
    assert found.box[2] - found.box[0] > 0.8
