"""The light of a candidate: its pulses, when it is lit, and when it is a plateau."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from detector.prefilter.light_curve import LightTrace, PlateauDetector, Sample, pulses_of, trim_plateau


def sample(number: int, light: float) -> Sample:
    return Sample(number / 25, 0.04, light, light, 10, 1.0, (0.5, 0.5), lit=light > 0, overlap=1.0)


def followed(
    light: Callable[[float], float], seconds: float = 3.0, strokes: Iterable[int] = (0,)
) -> Iterator[tuple[LightTrace, PlateauDetector]]:
    """A light that rises suddenly in the frames `strokes` only: its trace and plateau at each frame."""
    trace = LightTrace()
    plateau = PlateauDetector(trace, 0.0)
    for number in range(round(25 * seconds)):
        now = sample(number, light(number / 25))
        trace.glows(now.light, joins=number in strokes)
        trace.add(now)
        plateau.update(joins=number in strokes)
        yield trace, plateau


def plateau_of(light: Callable[[float], float]) -> tuple[float, float] | None:
    """When a plateau is recognised first, and since when it is one; None where the light goes out before."""
    known = ((trace, plateau.since) for trace, plateau in followed(light) if plateau.since is not None)
    trace, since = next(known, (None, 0.0))
    return (trace.samples[-1].seconds, since) if trace is not None and trace.dark_from is None else None


@pytest.mark.parametrize(
    ("course", "offsets"),
    [
        pytest.param([100, 60, 40, 90, 50], [0, 0.12], id="a valley of less than half parts two strokes"),
        pytest.param([100, 80, 70, 100, 50], [0], id="a flicker is no stroke"),
        pytest.param([100, 60, 40, 60, 30], [0], id="half as much again in the glow is none"),
        pytest.param([100, 0, 100], [0, 0.08], id="dark parts always"),
    ],
)
def test_strokes_are_parted_by_deep_valleys(course: list[float], offsets: list[float]) -> None:
    found = pulses_of([sample(number, light) for number, light in enumerate(course)], 10, 0.0)
    assert [pulse.offset_seconds for pulse in found] == pytest.approx(offsets)


def test_a_lit_frame_is_followed_down_to_its_last_glow_and_a_dark_one_needs_a_sudden_rise() -> None:
    trace = LightTrace()
    assert not trace.glows(50, joins=False)
    assert trace.glows(1000, joins=True)
    trace.add(sample(0, 1000))
    assert trace.glows(10, joins=False)
    assert not trace.glows(9, joins=False)


def test_the_glow_of_a_stroke_out_of_the_dark_is_measured_by_that_stroke() -> None:
    trace = LightTrace()
    for number, light in enumerate((1000, 0)):
        trace.glows(light, joins=number == 0)
        trace.add(sample(number, light))
    assert trace.glows(50, joins=True)
    trace.add(sample(2, 50))
    assert trace.pulse_light == 50
    assert trace.peak_light == 1000
    assert trace.glows(1, joins=False)


def test_it_is_dark_from_its_first_dark_frame_on_until_it_is_lit_again() -> None:
    trace, seen = LightTrace(), []
    for number, light in enumerate((100, 0, 0, 60, 0)):
        trace.add(sample(number, light))
        seen.append(trace.dark_from)
    assert seen == [None, 0.04, 0.04, None, 0.16]
    assert trace.light == 0


def test_a_light_went_dark_when_less_than_a_tenth_of_its_peak_is_left() -> None:
    for left, dark in ((11, False), (9, True), (0, True)):
        trace = LightTrace()
        for number, light in enumerate((100, left)):
            trace.add(sample(number, light))
        assert trace.went_dark == dark


@pytest.mark.parametrize(
    ("light", "expected"),
    [
        pytest.param(lambda _: 100, (1.0, 0.0), id="a lamp comes on"),
        pytest.param(lambda t: 300 if t < 0.1 else 100, (1.12, 0.0), id="a flash right before it"),
        pytest.param(lambda t: 100 + 20 * (round(t * 25) % 3), (1.04, 0.0), id="it wavers, but never falls for long"),
        pytest.param(lambda t: 100 if t < 0.2 else 4, (1.2, 0.2), id="a faint steady remainder"),
        pytest.param(lambda t: 10 * 1.1 ** (25 * t), (0.6, 0.0), id="a view that opens"),
        pytest.param(lambda t: 100 * 0.5 ** (t / 2), None, id="slow motion that always decays"),
        pytest.param(lambda t: 100 if t < 0.6 else 0, None, id="a continuing current"),
    ],
)
def test_a_light_that_neither_ends_nor_decays_is_a_plateau(
    light: Callable[[float], float], expected: tuple[float, float] | None
) -> None:
    found = plateau_of(light)
    assert found == (None if expected is None else pytest.approx(expected, abs=0.05))


def test_strokes_after_one_that_outshines_them_are_no_plateau() -> None:
    """Each is a tenth of the white-out: all that follows it varies by less than what is called steady beside it."""
    strokes = (0, 10, 20, 30, 40)

    def storm(t: float) -> float:
        since = round(25 * t) % 10
        return (1000 if t < 0.4 else 100) * (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.2, 0.2)[since]

    assert all(plateau.since is None for _, plateau in followed(storm, seconds=2, strokes=strokes))
    lamp = [plateau.since for _, plateau in followed(lambda t: 1000 if t < 0.4 else 100, seconds=2)]
    assert lamp[-1] == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize(
    ("light", "strokes", "expected"),
    [
        pytest.param(lambda t: 100 if t < 0.2 else 4, (0,), 0.2, id="steady"),
        pytest.param(lambda t: 100 if t < 0.2 else 3 + 3 * t, (0,), 0.2, id="it drifts up"),
        pytest.param(lambda t: 100 if t < 0.2 else max(4, 9 - 6 * t), (0,), 0.72, id="it falls, as a glow, then stays"),
        pytest.param(lambda t: 100 * 0.5 ** (4 * t), (0,), 1.24, id="the last of a glow"),
        pytest.param(lambda t: 100 if t < 0.2 else 4 if t < 0.6 else 9, (0, 15), 0.6, id="a weak stroke"),
        pytest.param(lambda t: 100 if t < 0.2 else 20, (0,), None, id="a fifth of the light is left"),
    ],
)
def test_hardly_any_light_is_left_since_it_is_a_tenth_and_no_longer_falls(
    light: Callable[[float], float], strokes: tuple[int, ...], expected: float | None
) -> None:
    (*_, (_, plateau)) = followed(light, seconds=1.6, strokes=strokes)
    assert plateau.faint_since == (None if expected is None else pytest.approx(expected, abs=0.001))


def traced(lights: Iterable[tuple[float, float]]) -> LightTrace:
    """The trace of frames of so much light, of which the highest block rises by so many levels."""
    trace = LightTrace()
    for number, (light, rise) in enumerate(lights):
        trace.add(replace(sample(number, light), peak_rise=rise))
    return trace


@pytest.mark.parametrize(
    ("run", "joins"),
    [
        pytest.param([(20, 2)], False, id="a fiftieth of the flash, faint all over"),
        pytest.param([(20, 2)] * 8, False, id="for longer than the eye sums light"),
        pytest.param([(31, 3)] * 3, True, id="a thirtieth for as long as the flash"),
        pytest.param([(80, 8)], False, id="a twelfth for a frame is a fortieth to the eye"),
        pytest.param([(20, 2), (20, 2), (200, 20)], True, id="weak at first"),
        pytest.param([(20, 10)], True, id="small, but a tenth as bright in one place"),
    ],
)
def test_what_cannot_be_seen_beside_a_flash_joins_nothing_to_it(run: list[tuple[float, float]], *, joins: bool) -> None:
    flash = [(1000.0, 100.0)] * 3
    trace = traced([*flash, (0, 0), (0, 0), (0, 0), *run])
    assert trace.over_from == (None if joins else pytest.approx(3 / 25))
    assert trace.dark_from is None
    assert trace.run_from == pytest.approx(6 / 25)


def test_what_comes_after_a_flicker_of_the_dark_is_the_same_run() -> None:
    assert traced([(100, 10), (0, 0), (0, 0), (50, 5)]).run_from == 0.0
    assert traced([(100, 10), (0, 0), (0, 0), (0, 0), (50, 5)]).run_from == pytest.approx(4 / 25)
    assert not traced([(100, 10), (0, 0)]).flickers(1 / 25 + 0.1)


def test_a_plateau_is_trimmed_back_to_where_its_light_came() -> None:
    lights = (300, 8, 100, 105, 100, 100)
    samples = [sample(number, light) for number, light in enumerate(lights)]
    trimmed = trim_plateau(samples, 4 / 25)
    assert [one.lit for one in trimmed] == [True, True, False, False, False, False]
    assert [one.light for one in trimmed] == list(lights)
    assert trim_plateau(samples, None) is samples


def test_the_first_frame_of_a_plateau_stays_lit_where_nothing_came_before_it() -> None:
    trimmed = trim_plateau([sample(number, 100) for number in range(4)], 0.0)
    assert [one.lit for one in trimmed] == [True, False, False, False]
