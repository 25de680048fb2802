"""The light of a candidate: its pulses, when it is lit, and when it is a plateau."""

from collections.abc import Callable, Iterator

import pytest

from detector.prefilter.light_curve import LightTrace, PlateauDetector, Sample, pulses_of, trim_plateau


def sample(number: int, light: float) -> Sample:
    return Sample(number / 25, 0.04, light, light, 10, 1.0, (0.5, 0.5), lit=light > 0, overlap=1.0)


def followed(light: Callable[[float], float], seconds: float = 3.0) -> Iterator[tuple[LightTrace, float | None]]:
    """A light whose only sudden rise is its onset: the trace at each frame, and since when it is a plateau."""
    trace = LightTrace()
    plateau = PlateauDetector(trace, 0.0, gap_seconds=0.5)
    for number in range(round(25 * seconds)):
        now = sample(number, light(number / 25))
        trace.glows(now.light, joins=number == 0)
        trace.add(now)
        plateau.update(joins=number == 0)
        yield trace, plateau.since


def plateau_of(light: Callable[[float], float]) -> tuple[float, float] | None:
    """When a plateau is recognised first, and since when it is one; None where the light goes out before."""
    known = ((trace, since) for trace, since in followed(light) if since is not None)
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
        pytest.param(lambda t: 100 if t < 0.2 else 4, (0.72, 0.2), id="a faint steady remainder"),
        pytest.param(lambda t: 10 * 1.1 ** (25 * t), (0.6, 0.0), id="a view that opens"),
        pytest.param(lambda t: 100 * 0.5 ** (4 * t), (1.76, 1.24), id="the last of a glow"),
        pytest.param(lambda t: 100 * 0.5 ** (t / 2), None, id="slow motion that always decays"),
        pytest.param(lambda t: 100 if t < 0.6 else 0, None, id="a continuing current"),
    ],
)
def test_a_light_that_neither_ends_nor_decays_is_a_plateau(
    light: Callable[[float], float], expected: tuple[float, float] | None
) -> None:
    found = plateau_of(light)
    assert found == (None if expected is None else pytest.approx(expected, abs=0.05))


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
