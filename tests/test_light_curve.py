"""The pulses of a light curve, and the few pictures that a new one is compared with."""

import weakref

import numpy as np
import pytest

from detector.light_curve import Sample, pulses_of
from detector.recent_pictures import RecentPictures
from stream import Frame


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


@pytest.mark.parametrize("rate", [25, 240])
def test_four_pictures_are_kept_at_every_rate_and_one_of_them_is_just_old_enough(rate: int) -> None:
    pictures, alive = RecentPictures(0.05), []
    for number in range(2 * rate):
        seconds = number / rate
        before = pictures.before(seconds)
        if seconds > 0.2:
            assert before is not None
            assert 0.05 <= seconds - before.seconds + 1e-6 <= 0.05 + 0.05 / 3 + 2 / rate
        del before
        luma = np.zeros((2, 2), np.uint8)
        alive.append(weakref.ref(luma))
        pictures.remember(Frame("roof", number, seconds, 1 / rate, luma))
        del luma
    assert sum(reference() is not None for reference in alive) <= 4
