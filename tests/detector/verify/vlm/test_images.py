"""What a model is shown of a candidate: nothing twice, nothing black, and small lights close up."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.settings import PictureName
from detector.verify.vlm.images import CandidateImages, Difference, as_array, downscaled, images_of
from detector.verify.vlm.question import read_prompt
from helpers.candidates import candidate
from stream import Frame

NAMES: tuple[PictureName, ...] = ("before", "peak", "after", "difference", "closeup")
SIZE = (360, 640)


def scene(seed: int = 0, low: int = 60, high: int = 120) -> NDArray[np.uint8]:
    """A textured frame of (height, width, 3), nowhere flat."""
    dice = np.random.default_rng(seed)
    cells = dice.integers(low, high, (SIZE[0] // 20, SIZE[1] // 20, 3), dtype=np.uint8)
    return np.kron(cells, np.ones((20, 20, 1), np.uint8)).astype(np.uint8)


def lit(image: NDArray[np.uint8], levels: int, *, rows: slice = np.s_[40:200]) -> NDArray[np.uint8]:
    brighter = image.copy()
    brighter[rows, 200:400] = np.clip(image[rows, 200:400].astype(int) + levels, 0, 255)
    return brighter


def framed(image: NDArray[np.uint8], seconds: float) -> Frame:
    grey = image.mean(axis=2).astype(np.uint8)
    return Frame(
        camera="roof", number=round(seconds * 25), seconds=seconds, duration=0.04, luma=grey, black=0, white=255,
        color=lambda _side: image,
    )  # fmt: skip


def seen(
    before: NDArray[np.uint8], peak: NDArray[np.uint8] | Frame, after: NDArray[np.uint8], **changed: object
) -> Candidate:
    """A candidate that shows these three moments and lit the part that `lit` lights."""
    shown = peak if isinstance(peak, Frame) else framed(peak, 1.0)
    lit_map = np.zeros((18, 32), np.bool_)
    lit_map[2:10, 10:20] = True
    level = np.full((18, 32), 30, np.float32)
    made = replace(
        candidate(), before=framed(before, 0.96), peak=shown, onset=shown, clear=shown, after=framed(after, 1.04),
        lit_map=lit_map, background=level, peak_map=np.where(lit_map, level + 80, level).astype(np.float32),
        box=(10 / 32, 2 / 18, 20 / 32, 10 / 18),
    )  # fmt: skip
    return replace(made, **changed)  # type: ignore[arg-type]


def shown(one: Candidate, names: tuple[PictureName, ...] = NAMES, *, crop: bool = False) -> CandidateImages:
    return images_of(downscaled(one, 640), names, crop=crop, side_pixels=640)


def test_a_frame_after_that_looks_like_the_one_before_is_told_in_words_instead() -> None:
    found = shown(seen(scene(), lit(scene(), 80), scene()))
    assert "after" not in found.images
    assert found.remarks == ("after_dark",)


def test_a_frame_after_in_which_light_remains_is_shown_and_said_so() -> None:
    found = shown(seen(scene(), lit(scene(), 80), lit(scene(), 40)))
    assert "after" in found.images
    assert found.remarks == ("after_lit",)


def test_a_frame_after_that_shows_another_scene_is_shown_without_a_word() -> None:
    found = shown(seen(scene(), lit(scene(), 80), np.roll(scene(), 60, axis=1) // 2))
    assert "after" in found.images
    assert found.remarks == ()


def test_a_difference_that_shows_only_what_the_peak_shows_is_left_out() -> None:
    """In the dark the added light is all there is: half of the differences of real candidates were the peak again."""
    dark = scene(low=0, high=60) // 3
    peak = np.clip(scene(1, 100, 250).astype(int), 0, 255).astype(np.uint8)
    assert "difference" not in shown(seen(dark, peak, dark)).images
    assert "difference" in shown(seen(scene(), lit(scene(), 80), scene())).images


def test_a_difference_that_makes_a_faint_light_visible_stays() -> None:
    dark = np.zeros((*SIZE, 3), np.uint8)
    found = shown(seen(dark, lit(dark, 20), dark))
    assert as_array(found.images["difference"]).max() > 200


def test_a_nearly_black_frame_before_is_brightened_and_said_so() -> None:
    found = shown(seen(scene(low=0, high=20), scene(1), scene(low=0, high=20)))
    assert as_array(found.images["before"]).max() > 80
    assert "before_lifted" in found.remarks
    difference = found.images.get("difference")
    assert not isinstance(difference, Difference) or difference.before.max() <= 20, (
        "the difference is from the original"
    )


def test_a_black_frame_before_is_left_out_and_told_in_words() -> None:
    """Brightened, it would show the blocks of the coding as if something were there."""
    noise = np.random.default_rng(0).integers(10, 13, (*SIZE, 3), dtype=np.uint8)
    found = shown(seen(noise, scene(), noise))
    assert "before" not in found.images
    assert "before_black" in found.remarks


def test_a_frame_that_is_white_all_over_is_replaced_by_the_brightest_that_shows_something() -> None:
    white = np.full((*SIZE, 3), 255, np.uint8)
    clear = framed(lit(scene(), 100), 1.0)
    found = shown(seen(scene(), white, scene(), clear=clear, end_seconds=1.12, onset=clear))
    assert as_array(found.images["peak"]).mean() < 200
    assert "peak_white" in found.remarks


def test_the_peak_is_from_within_the_flash() -> None:
    """A steady light that came with a flash may be brighter, and lasts; it is cut off from the flash's times."""
    later = framed(scene(5), 3.0)
    found = shown(seen(scene(), later, scene(), onset=framed(lit(scene(), 90), 1.0)))
    assert np.array_equal(as_array(found.images["peak"]), lit(scene(), 90))
    assert "peak_white" not in found.remarks


def test_a_small_light_is_shown_close_up_in_the_frames_own_resolution() -> None:
    """A distant bolt is a few pixels wide: in a frame of 640 pixels it is gone."""
    luma = np.full((1080, 1920), 60, np.uint8)
    luma[300:340:2, 960] = 250  # a dotted line one pixel wide
    frame = replace(framed(scene(), 1.0), luma=luma)
    peak_map = np.full((18, 32), 30, np.float32)
    peak_map[5, 16] = 90
    small = seen(scene(), frame, scene(), peak_map=peak_map)
    close = as_array(shown(small).images["closeup"])
    assert close.max() > 240
    assert max(close.shape) <= 640
    assert close.shape[1] / close.shape[0] == pytest.approx(16 / 9, rel=0.02), "one batch with the whole frames"


def test_a_large_light_needs_no_close_up() -> None:
    assert "closeup" not in shown(seen(scene(), lit(scene(), 80), scene())).images


def test_faint_light_far_away_does_not_hide_that_the_strongest_is_small() -> None:
    peak_map = np.full((18, 32), 33, np.float32)
    peak_map[5, 16] = 120
    assert "closeup" in shown(seen(scene(), scene(1), scene(), peak_map=peak_map, box=(0.0, 0.0, 1.0, 1.0))).images


def test_a_composite_shows_what_stays_as_grey_and_sudden_light_as_green() -> None:
    grey = np.full((*SIZE, 3), 80, np.uint8)
    found = shown(seen(grey, lit(grey, 100), grey), ("composite",))
    image = as_array(found.images["composite"])
    assert image[5, 5].tolist() == [80, 80, 80]
    assert image[100, 300].tolist() == [80, 180, 80]


def test_a_crop_cuts_the_difference_too() -> None:
    found = shown(seen(scene(), lit(scene(), 80), scene(), box=(0.4, 0.2, 0.5, 0.3)), crop=True)
    assert as_array(found.images["difference"]).shape == as_array(found.images["peak"]).shape
    assert as_array(found.images["peak"]).shape[0] < SIZE[0]


def test_each_remark_has_a_sentence_in_the_shipped_question() -> None:
    prompt = read_prompt("shipped")
    for remark, sentence in prompt.remarks.items():
        assert sentence in prompt.text(["peak"], [remark])
    assert set(prompt.remarks) == {"before_lifted", "before_black", "after_lit", "after_dark", "peak_white"}
