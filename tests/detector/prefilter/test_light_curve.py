"""The pulses of a light curve."""

import pytest

from detector.prefilter.light_curve import Sample, pulses_of


def sample(number: int, light: float) -> Sample:
    return Sample(number / 25, 0.04, light, light, 10, 1.0, (0.5, 0.5), lit=light > 0, overlap=1.0)


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
