"""What cannot be confirmed: light at the end of a recording, and frames too far apart."""

from collections.abc import Callable

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import load_settings
from detector.verify.photometric.clues import shape
from detector.verify.photometric.edges import CUT_OFF, SLOW, largest_fall
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import HEIGHT, WIDTH, Picture, closed, frames, patch, prefilter, sky_light


def judged(
    levels: Callable[[float], float], *, seconds: float, rate: float = 25.0, scene: Picture | None = None
) -> tuple[Candidate, Verdict]:
    """The last candidate and its verdict where a wide light is `levels(t)` high, t seconds after 3.2 s."""

    def change(when: float, quiet: Picture) -> Picture:
        return quiet + (sky_light(levels(when - 3.2)) if when >= 3.2 - 1e-6 else 0)

    found = closed(frames(change, seconds=seconds, rate=rate, noise=1, scene=scene))[-1]
    return found, PhotometricVerifier(load_settings().photometric).verify([found])[0]


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        pytest.param(lambda t: 70 + 200 * t, "unverified", id="it had not fallen: a flash or a lamp"),
        pytest.param(lambda t: 90 - 40 * t / 0.2, "confirmed", id="it had fallen by more than a fifth"),
        pytest.param(lambda t: 90 if round(25 * t) % 3 else 50, "confirmed", id="it flickered"),
    ],
)
def test_a_light_that_is_on_when_a_recording_ends_is_confirmed_only_if_it_was_seen_to_fall_or_flicker(
    levels: Callable[[float], float], state: str
) -> None:
    found, verdict = judged(levels, seconds=3.4)
    assert found.context.cut_off
    assert (verdict.state, verdict.reason) == (state, CUT_OFF if state == "unverified" else None)


def test_a_light_that_did_not_end_before_the_recording_is_not_said_to_have_stayed() -> None:
    _, cut_off = judged(lambda t: 90 - 100 * t, seconds=3.6)
    assert "fallen_share" not in cut_off.evidence
    _, stayed = judged(lambda _: 90, seconds=6)
    assert "the light stayed" in (stayed.reason or "")


def test_a_light_that_had_all_but_gone_out_when_the_recording_ended_is_favoured_for_it() -> None:
    _, verdict = judged(lambda t: 90 * 0.5 ** (t / 0.05), seconds=3.4)
    assert verdict.evidence["fallen_share"] > 0.8


@pytest.mark.parametrize(("rate", "state"), [(1.0, "unverified"), (4.0, "confirmed")])
def test_frames_a_second_apart_do_not_confirm_what_they_show_once(rate: float, state: str) -> None:
    def change(when: float, quiet: Picture) -> Picture:
        return quiet + (sky_light(90) if 20 <= when < 20 + 1 / rate - 1e-6 else 0)

    found = closed(frames(change, seconds=30, rate=rate, noise=1), prefilter())[-1]
    verdict = PhotometricVerifier(load_settings().photometric).verify([found])[0]
    assert (verdict.state, verdict.reason) == (state, SLOW if state == "unverified" else None)


def test_the_largest_fall_is_from_the_highest_light_so_far() -> None:
    found, _ = judged(lambda t: (50, 40, 60, 60)[min(3, round(25 * t))], seconds=3.36)
    assert largest_fall(found) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(("black", "measured"), [(-18.0, False), (3.0, True)])
def test_in_a_frame_blacker_than_black_no_glow_is_missed(black: float, *, measured: bool) -> None:
    """An editor or a camera that cuts black off cuts the glow around a far stroke off, too."""
    small = patch(120 - black, (40, 60), (100, 140))
    dark = np.full((HEIGHT, WIDTH), black, np.float32)

    def change(when: float, quiet: Picture) -> Picture:
        return quiet + (small if 3.2 - 1e-6 <= when < 3.28 - 1e-6 else 0)

    (found,) = closed(frames(change, seconds=4.4, noise=0, scene=dark))
    assert (shape.glow_extent(CandidateFeatures(found)) is not None) == measured
