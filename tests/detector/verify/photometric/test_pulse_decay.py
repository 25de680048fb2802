"""How fast pulses go out tells fireworks, and a bolt that came during them, from a flash."""

from collections.abc import Callable

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import load_settings
from detector.verify.photometric.pulse_decay import UNLIKE, half_lives
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import Picture, closed, frames, sky_light
from storm import FlashPlan, LookalikePlan, Plan, Scene

LEFT, RIGHT = ((10, 70), (10, 120)), ((30, 110), (190, 310))
BURST, STROKE = 0.4, 0.03
"""Seconds in which a burst of stars and a stroke lose most of their light."""


def judged(*pulses: tuple[float, float, tuple[tuple[int, int], tuple[int, int]]]) -> tuple[Candidate, Verdict]:
    """The only candidate and its verdict where pulses (start, seconds of decay, place) follow one another."""

    def change(when: float, quiet: Picture) -> Picture:
        added = quiet.copy()
        for start, decay, (rows, columns) in pulses:
            if when >= start - 1e-6:
                light = sky_light(70, rows=rows, columns=columns) + sky_light(7)
                added += light * np.float32(np.exp(-(when - start) / decay))
        return added

    found = closed(frames(change, seconds=8, noise=1))
    assert len(found) == 1
    return found[0], PhotometricVerifier(load_settings().photometric).verify(found)[0]


def test_bursts_that_burn_out_slowly_are_fireworks_however_cloudlike_they_are() -> None:
    found, verdict = judged((3.0, BURST, LEFT), (3.7, BURST, RIGHT), (4.4, BURST, LEFT))
    assert [seconds for _, seconds in half_lives(found)] == pytest.approx([0.28] * 3, abs=0.1)
    assert (verdict.state, verdict.evidence["burning"] > 0.2) == ("rejected", True)
    assert "each of its bursts burned out slowly" in (verdict.reason or "")


def test_strokes_of_which_one_keeps_its_current_are_a_flash() -> None:
    _, verdict = judged((3.0, STROKE, LEFT), (3.2, BURST, LEFT), (3.8, STROKE, LEFT))
    assert (verdict.state, verdict.evidence["burning"]) == ("confirmed", 0.0)


def test_a_single_light_that_fades_slowly_is_not_called_a_firework() -> None:
    _, verdict = judged((3.0, BURST, LEFT))
    assert "burning" not in verdict.evidence


@pytest.mark.parametrize(
    ("pulses", "state"),
    [
        pytest.param([(3.0, BURST, LEFT), (3.9, STROKE, RIGHT)], "unverified", id="elsewhere: two lights"),
        pytest.param([(3.0, BURST, LEFT), (3.9, STROKE, LEFT)], "confirmed", id="in the same cloud: one flash"),
    ],
)
def test_a_stroke_after_a_slow_burst_is_doubted_where_it_lit_another_place(
    pulses: list[tuple[float, float, tuple[tuple[int, int], tuple[int, int]]]], state: str
) -> None:
    _, verdict = judged(*pulses)
    assert (verdict.state, verdict.reason) == (state, UNLIKE if state == "unverified" else None)


def dusk(kind: str | None, seed: int) -> Plan:
    flashes = () if kind is None else (FlashPlan(kind=kind, at=6.3, rise=90),)  # type: ignore[arg-type]
    show = LookalikePlan(kind="fireworks", at=2.0, strength=1.2)
    return Plan(seconds=12, size=(320, 180), sky="dusk", land="hills", seed=seed, lookalikes=(show,), flashes=flashes)


@pytest.mark.parametrize("seed", [21, 24])
@pytest.mark.parametrize(
    ("make", "states"),
    [
        pytest.param(lambda seed: dusk(None, seed), {"rejected"}, id="fireworks"),
        pytest.param(lambda seed: dusk("sheet", seed), {"unverified"}, id="with a flash among them"),
    ],
)
def test_fireworks_at_dusk_are_no_confirmed_flash(make: Callable[[int], Plan], states: set[str], seed: int) -> None:
    found = closed(Scene(make(seed)).stream_frames())
    verdicts = PhotometricVerifier(load_settings().photometric).verify(found)
    assert {verdict.state for verdict in verdicts} == states


@pytest.mark.parametrize("seed", [1, 4])
def test_a_welder_whose_light_reaches_the_sky_is_no_confirmed_flash(seed: int) -> None:
    arcs = tuple(LookalikePlan(kind="welding", at=at) for at in (3.0, 13.0))
    scene = Scene(Plan(seconds=20, size=(320, 180), rate=25, land="hills", seed=seed, lookalikes=arcs))
    found = closed(scene.stream_frames())
    verdicts = PhotometricVerifier(load_settings().photometric).verify(found)
    assert found
    assert "confirmed" not in {verdict.state for verdict in verdicts}
