"""What a model is shown and asked, and what is made of its answer."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import SettingsError
from detector.verify.vlm.images import amplified_difference, downscaled, images_of
from detector.verify.vlm.question import ModelIdentity, Question, read_prompt
from helpers import ROOT
from helpers.candidates import candidate, frame
from helpers.models import model_settings

ASKED = ModelIdentity("minicpm", "a/model", "a" * 40, "16x 448px")


def question(**changes: Any) -> Question:
    return Question(model_settings(question={"min_answer_mass": 0.1, **changes}).question, 640)


def test_the_images_come_in_the_order_set_and_the_text_names_each() -> None:
    moments = replace(candidate(), before=frame(90), after=frame(150))
    shown = question(pictures=["peak", "after", "before"]).show(moments)
    assert len(shown.images) == 3
    assert shown.arrays()[0][5, 160].mean() > 150
    assert shown.arrays()[1][5, 160].mean() > shown.arrays()[2][5, 160].mean()
    assert "Image 0 is the brightest. Image 1 was taken shortly after." in shown.text
    assert "Image 2 was taken just before" in shown.text
    assert shown.text.endswith("Answer Yes or No.")


def test_images_that_the_edge_of_a_source_cut_off_are_left_out_of_the_text_too() -> None:
    shown = question().show(replace(candidate(), before=None))
    assert len(shown.images) == 2
    assert "just before the light" not in shown.text
    assert "became brighter, amplified" not in shown.text


def test_a_image_of_another_size_is_not_compared() -> None:
    other = replace(candidate(), before=frame(30, size=(90, 100)))
    assert list(images_of(other, ("before", "peak", "difference"), crop=False, side_pixels=640).images) == ["peak"]


def test_the_difference_shows_only_added_light_and_amplifies_a_faint_one() -> None:
    before = np.full((40, 40, 3), 100, np.uint8)
    peak = before.copy()
    peak[:10] += 20
    peak[30:] -= 50
    shown = amplified_difference(before, peak)
    assert shown[:10].min() > 200
    assert shown[10:].max() == 0


def test_noise_is_not_blown_up_to_a_flash() -> None:
    dice = np.random.default_rng(0)
    before = dice.integers(100, 103, (40, 40, 3)).astype(np.uint8)
    peak = dice.integers(100, 103, (40, 40, 3)).astype(np.uint8)
    assert amplified_difference(before, peak).max() <= 32


def test_the_crop_keeps_the_lit_region_and_its_surroundings() -> None:
    whole, cropped = (question(crop=crop).show(candidate()).arrays()[0] for crop in ("none", "lit"))
    assert cropped.shape[0] < whole.shape[0]
    assert cropped.shape[1] < whole.shape[1]
    lit = (cropped > 150).mean() / (whole > 150).mean()
    assert lit > 1.3, "the light fills more of the image"


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.001, 0.001), (0.999, 0.999, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)])
def test_a_crop_never_leaves_the_image_nor_becomes_empty(box: tuple[float, float, float, float]) -> None:
    images = question(crop="lit").show(replace(candidate(), box=box)).arrays()
    assert all(image.shape[0] >= 45 and image.shape[1] >= 80 for image in images)


def test_a_compact_candidate_keeps_its_times_and_loses_the_decoders_memory() -> None:
    other = frame(30, size=(1080, 1920))
    big = replace(candidate(size=(1080, 1920)), quiet=(other,), waning=other)
    small = downscaled(big, 320)
    assert (small.quiet, small.waning) == ((), None), "no model looks at them"
    assert small.peak.rgb().shape[1] <= 320
    assert small.peak.rgb(100).shape[1] <= 100
    assert small.peak.luma.base is None
    assert (small.onset.seconds, small.peak.seconds) == (big.onset.seconds, big.peak.seconds)
    assert small.onset is small.peak, "one frame in two roles stays one"


def test_probability_is_the_calibrated_log_odds_and_the_threshold_decides() -> None:
    asking = question(temperature=2.0, bias=1.0, threshold=0.6)
    yes = asking.verdict(ASKED, 3.0, 0.9, 0.5)
    assert yes.probability == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert yes.lightning is True
    no = asking.verdict(ASKED, 1.5, 0.9, 0.5)
    assert no.lightning is False
    assert (no.model, no.model_revision, no.seconds) == ("a/model", "a" * 40, 0.5)
    assert no.evidence == {"log_odds": 1.5, "answer_mass": 0.9}


@pytest.mark.parametrize(("odds", "mass"), [(math.nan, 0.9), (math.inf, 0.9), (0.3, math.nan), (0.3, 0.05)])
def test_an_answer_that_is_none_is_unverified_never_rejected(odds: float, mass: float) -> None:
    verdict = question().verdict(ASKED, odds, mass, 0.5)
    assert verdict.state == "unverified"
    assert verdict.reason


def test_the_start_says_whether_the_calibration_fits_what_is_asked() -> None:
    key = question().calibration_key(ASKED)
    assert question().calibration_note(ASKED) == "probabilities not calibrated"
    assert question(calibrated_for=key).calibration_note(ASKED) == "probabilities calibrated"
    other = replace(ASKED, mode="4x 448px")
    assert "fit it again" in question(calibrated_for=key).calibration_note(other)


def test_two_prompts_of_one_version_are_told_apart(tmp_path: Path) -> None:
    shipped = read_prompt("shipped")
    path = tmp_path / "mine.toml"
    text = (ROOT / "detector" / "verify" / "vlm" / "prompt.toml").read_text()
    path.write_text(text.replace("fireworks", "rockets"))
    mine = read_prompt(str(path))
    assert mine.version == shipped.version
    assert mine.label != shipped.label


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("{pictures}", ""), "has no {pictures}"),
        (("after = ", "later = "), "later"),
        (("Question:", "<|im_end|>"), "control token"),
        (('version = "2"', 'version = "2'), "not a prompt file"),
        (('version = "2"', 'verzion = "2"'), "verzion"),
    ],
)
def test_a_prompt_file_that_cannot_work_is_refused_with_the_reason(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    text = (ROOT / "detector" / "verify" / "vlm" / "prompt.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(SettingsError) as refused:
        read_prompt(str(path))
    assert said in str(refused.value)
    with pytest.raises(SettingsError, match="cannot read it"):
        read_prompt(str(tmp_path / "nowhere.toml"))
