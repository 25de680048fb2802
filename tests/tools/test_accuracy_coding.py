"""What the accuracy benchmark says that a codec left of a flash."""

from pathlib import Path

import pytest

from accuracy.coding import levels_left
from storm import Camera, ClipFormat, FlashPlan, Plan, Scene, write_clip

FAINT = Scene(
    Plan(
        seconds=4.0,
        size=(640, 360),
        rate=25,
        sky="night",
        camera=Camera(gain=6, exposure=1),
        flashes=(FlashPlan(kind="single", at=1.5, rise=6), FlashPlan(kind="sheet", at=2.8, rise=40)),
    )
)


@pytest.mark.parametrize(
    ("form", "share"),
    [(ClipFormat(codec="ffv1"), 0.9), (ClipFormat(codec="libx265", crf=45), 0.0)],
    ids=("lossless", "strongly coded"),
)
def test_a_file_shows_as_much_of_a_faint_flash_as_its_codec_left(
    tmp_path: Path, form: ClipFormat, share: float
) -> None:
    clip = tmp_path / "clip.mkv"
    faint, bright = write_clip(FAINT, clip, form).details
    left = levels_left(FAINT, clip, form, (faint, bright))
    # A hundredth of the blocks rises by a little less than the best one.
    assert left == pytest.approx([share * faint.rise_levels, 0.95 * bright.rise_levels], rel=0.05, abs=0.5)


def test_of_a_scene_without_flashes_nothing_is_asked(tmp_path: Path) -> None:
    assert levels_left(FAINT, tmp_path / "never written.mkv", ClipFormat(), []) == []
