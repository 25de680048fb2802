"""Made storms: the same plan gives the same pictures, and the truth is what the pixels show."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import make_storm
from accuracy.grid import codec_cases, lookalike_cases, strength_cases
from helpers import ROOT
from storm import (
    FLASH_KINDS,
    LOOKALIKE_KINDS,
    Camera,
    ClipFormat,
    FlashPlan,
    LookalikePlan,
    Plan,
    PlanError,
    Scene,
    WriteError,
    write_clip,
)
from storm.plan import parse_flash, parse_lookalike

TOOL = ROOT / "tools" / "make_storm.py"
SMALL = Plan(seconds=3.0, size=(320, 180), rate=25, seed=4)


def storm(kind: str = "sheet", **changes: object) -> Scene:
    """A small scene with one flash at 1.5 s."""
    flash = FlashPlan(kind=kind, at=1.5, rise=60)  # type: ignore[arg-type]
    return Scene(replace(SMALL, **{"flashes": (flash,), **changes}))  # type: ignore[arg-type]


def decoded(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Seconds of presentation time and luma of each frame."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width]
            yield float(frame.time), luma.copy()


def lit_by_pixels(clip: list[tuple[float, NDArray[np.uint8]]]) -> list[float]:
    """Times of the frames in which a share of the blocks stands clearly above the clip's own median."""
    blocks = np.array([cv2.resize(luma, (64, 36), interpolation=cv2.INTER_AREA) for _, luma in clip], np.float32)
    rise = blocks - np.median(blocks, axis=0)
    return [seconds for (seconds, _), one in zip(clip, rise, strict=True) if (one > 6).mean() > 0.02]


def test_the_same_plan_gives_the_same_bytes_of_every_frame() -> None:
    one, two = (storm("bolt", rain=0.5, lookalikes=(LookalikePlan(kind="insects"),)) for _ in range(2))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one.frames(), two.frames(), strict=True))


def test_frames_do_not_depend_on_the_order_in_which_they_are_asked_for() -> None:
    scene = storm("bolt", rain=0.5)
    forward = [scene.yuv(number) for number in (36, 38, 40)]
    backward = [storm("bolt", rain=0.5).yuv(number) for number in (40, 38, 36)]
    assert all(np.array_equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))


def test_another_seed_gives_another_scene() -> None:
    assert not np.array_equal(storm(seed=1).luma(10), storm(seed=2).luma(10))


def test_the_fast_way_gives_the_same_luma_as_the_coloured_one() -> None:
    scene = storm("bolt")
    assert np.array_equal(scene.yuv(37)[:180], scene.luma(37))
    assert np.array_equal(next(iter(scene.stream_frames())).luma, scene.luma(0))


@pytest.mark.parametrize("kind", FLASH_KINDS)
def test_each_kind_of_flash_adds_light_exactly_where_its_truth_says(kind: str) -> None:
    scene, dark = storm(kind), Scene(SMALL)
    truth = scene.truth()
    assert truth.kind == "positive"
    assert len(truth.flashes) == 1
    covered = truth.flashes + truth.ignore
    for number, seconds in enumerate(scene.seconds_of):
        added = scene.luma(number).astype(np.float32) - dark.luma(number)
        inside = any(start - 1e-6 <= seconds < end - 1e-6 for start, end in truth.pulses)
        if kind == "dip" and seconds > 1.6:
            continue  # from here on the exposure is lower than in the dark scene
        if inside:
            assert np.quantile(added, 0.99) > 2, f"{kind}: truth says lit at {seconds} s"
        elif not any(start - 1e-6 <= seconds < end - 1e-6 for start, end in covered):
            assert np.abs(added).max() <= 3, f"{kind}: light at {seconds} s that the truth does not know"


def test_the_rise_asked_for_is_the_rise_seen() -> None:
    for rise in (10.0, 40.0, 90.0):
        truth = Scene(replace(SMALL, flashes=(FlashPlan(kind="sheet", at=1.5, rise=rise),))).truth()
        assert truth.details[0].rise_levels == pytest.approx(rise, rel=0.35)


def test_a_single_stroke_lights_one_frame_and_a_band_two_neighbours_in_parts() -> None:
    assert storm("single").truth().flashes == [[1.48, 1.52]]
    band = storm("band")
    before, after = band.luma(36).astype(int) - Scene(SMALL).luma(36), band.luma(37).astype(int) - Scene(SMALL).luma(37)
    assert band.truth().flashes == [[1.44, 1.52]]
    assert before[:20].mean() < 1 < before[90:].mean()
    assert after[:60].mean() > 5
    assert after[-10:].mean() < 1


def test_pulses_closer_than_half_a_second_are_one_flash() -> None:
    truth = Scene(replace(SMALL, flashes=(FlashPlan(kind="single", at=0.5), FlashPlan(kind="single", at=0.9)))).truth()
    assert (len(truth.flashes), len(truth.pulses)) == (1, 2)
    truth = Scene(replace(SMALL, flashes=(FlashPlan(kind="single", at=0.5), FlashPlan(kind="single", at=1.4)))).truth()
    assert (len(truth.flashes), len(truth.pulses)) == (2, 2)


def test_pulses_with_a_faint_one_between_are_one_flash() -> None:
    two = (FlashPlan(kind="single", at=0.5), FlashPlan(kind="single", at=1.2))
    faint = FlashPlan(kind="single", at=0.85, rise=2)
    assert len(Scene(replace(SMALL, flashes=two)).truth().flashes) == 2
    assert len(Scene(replace(SMALL, flashes=(*two, faint))).truth().flashes) == 1


def test_a_flash_below_the_visible_floor_is_ignored_but_its_strength_is_kept() -> None:
    truth = Scene(replace(SMALL, flashes=(FlashPlan(kind="sheet", at=1.5, rise=2),))).truth()
    assert truth.flashes == []
    assert truth.ignore
    assert [detail.visible for detail in truth.details] == [False]
    assert 0 < truth.details[0].strength < 5


def test_strength_is_the_rise_over_the_noise_that_the_pictures_have() -> None:
    quiet, noisy = (
        Scene(replace(SMALL, camera=Camera(gain=gain, exposure=1.0), flashes=storm().plan.flashes)) for gain in (3, 12)
    )
    assert quiet.truth().details[0].strength > 2 * noisy.truth().details[0].strength
    dark = np.array([cv2.resize(noisy.luma(n), (64, 36), interpolation=cv2.INTER_AREA) for n in range(30)], np.float32)
    seen = float(np.median(np.std(np.diff(dark, axis=0), axis=0))) / np.sqrt(2) * 255 / 219
    detail = noisy.truth().details[0]
    assert detail.rise_levels / detail.peak_strength == pytest.approx(seen, rel=0.6)


@pytest.mark.parametrize("kind", LOOKALIKE_KINDS)
def test_each_lookalike_changes_the_picture_and_is_no_flash(kind: str) -> None:
    plan = replace(SMALL, seconds=6.0, lookalikes=(LookalikePlan(kind=kind, at=1.0),))  # type: ignore[arg-type]
    scene, plain = Scene(plan), Scene(replace(plan, lookalikes=()))
    changed = [np.abs(scene.luma(n).astype(int) - plain.luma(n)).max() for n in range(len(scene))]
    assert max(changed[:25]) == 0, "it begins before its time"
    assert max(changed) > 10
    assert scene.truth().flashes == scene.truth().details == []
    assert scene.truth().kind == "negative"


def test_an_ir_cut_takes_the_colour_away() -> None:
    scene = Scene(replace(SMALL, lookalikes=(LookalikePlan(kind="ir_cut", at=1.0),)))
    assert np.ptp(scene.yuv(10)[180:]) > 10
    assert np.ptp(scene.yuv(60)[180:]) == 0


def test_a_dip_to_white_leaves_nothing_of_the_picture_in_its_middle() -> None:
    scene = Scene(replace(SMALL, lookalikes=(LookalikePlan(kind="dip_to_white", at=1.0),)))
    plain = Scene(SMALL)
    spread = [int(np.ptp(scene.luma(n))) for n in range(20, 45)]
    assert min(spread) < 0.3 * int(np.ptp(plain.luma(20)))
    assert int(scene.luma(20 + int(np.argmin(spread))).min()) > 150


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("clip.mp4", ClipFormat(codec="libx264", crf=23)),
        ("clip.mov", ClipFormat(codec="libx264", bit_rate=1_000_000)),
        ("clip.mkv", ClipFormat(codec="libx265", crf=30)),
        ("ten.mp4", ClipFormat(codec="libx265", pixel_format="yuv420p10le")),
        ("clip.webm", ClipFormat(codec="libvpx", bit_rate=1_000_000)),
        ("clip.avi", ClipFormat(codec="mjpeg")),
        ("clip.ts", ClipFormat(codec="mpeg2video")),
        ("old.mp4", ClipFormat(codec="mpeg4")),
        ("exact.mkv", ClipFormat(codec="ffv1")),
    ],
)
def test_truth_fits_the_decoded_clip_in_every_codec_and_container(tmp_path: Path, name: str, form: ClipFormat) -> None:
    scene = storm("single")
    labels = write_clip(scene, tmp_path / name, form)
    with av.open(str(tmp_path / name)) as container:
        frames = [(float(frame.time), frame.reformat(format="yuv420p")) for frame in container.decode(video=0)]
    assert len(frames) == len(scene)
    clip = [(seconds, frame.to_ndarray()[:180]) for seconds, frame in frames]
    assert lit_by_pixels(clip) == pytest.approx([labels.flashes[0][0]], abs=1e-6)


def test_truth_follows_the_time_stamps_of_a_clip_with_variable_rate(tmp_path: Path) -> None:
    scene = storm("pulses", jitter=0.5, drop=0.2, rate=29.97)
    labels = write_clip(scene, tmp_path / "clip.mkv", ClipFormat(crf=20))
    clip = list(decoded(tmp_path / "clip.mkv"))
    gaps = np.diff([seconds for seconds, _ in clip])
    assert len(clip) < 90 * 0.95
    assert gaps.min() > 0
    assert gaps.max() > 1.5 * gaps.min()
    for seconds in lit_by_pixels(clip):
        assert any(start - 1e-6 <= seconds < end for start, end in labels.pulses), f"lit at {seconds} s"
    stamps = {round(seconds, 6) for seconds, _ in clip}
    assert all(start in stamps for start, _ in labels.pulses)


def test_the_command_writes_clip_and_labels_and_says_what_it_made(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOL), "one.mp4", "--seconds", "3", "--size", "320x180", "--labels", "labels.json"]
    for name in ("one.mp4", "two.mp4"):
        command[2] = name
        done = subprocess.run(
            [*command, "--flash", "bolt@1.5"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert f"{name}: 75 frames, 1 flashes" in done.stdout
    labels = json.loads((tmp_path / "labels.json").read_text())
    assert labels["one.mp4"] == labels["two.mp4"]
    assert labels["one.mp4"]["flashes"][0][0] == pytest.approx(1.5, abs=0.041)
    assert {"kind", "group", "flashes", "pulses", "ignore", "notes"} <= set(labels["one.mp4"])


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["clip.mp4", "--flash", "boom"], 2, "unknown kind 'boom'"),
        (["clip.mp4", "--flash", "bolt@soon"], 2, "'soon' is not a number"),
        (["clip.mp4", "--flash", "bolt@99"], 2, "outside the clip of 10 s"),
        (["clip.mp4", "--size", "641x360"], 2, "even sides"),
        (["clip.xyz"], 1, "clip.xyz"),
        (["clip.mp4", "--codec", "nosuch"], 1, "nosuch"),
        (["nowhere/clip.mp4"], 1, "No such file or directory"),
    ],
)
def test_a_wrong_wish_is_refused_in_one_line_and_leaves_no_file(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_that_the_benchmark_prints_makes_the_scene_that_it_tried() -> None:
    cases = [*strength_cases(4, seed=7), *lookalike_cases(0.1, seed=7), *codec_cases(1, seed=7)]
    for case in cases:
        given = make_storm.parser().parse_args(shlex.split(case.command)[1:])
        plan = make_storm.plan_of(given)
        assert plan == case.plan


def test_happenings_are_read_from_text() -> None:
    assert parse_flash("bolt@3.2:rise=60,pulses=3") == FlashPlan(kind="bolt", at=3.2, rise=60, pulses=3)
    assert parse_lookalike("headlights:strength=0.5") == LookalikePlan(kind="headlights", strength=0.5)
    with pytest.raises(PlanError, match="unknown key 'colour'"):
        parse_flash("bolt:colour=1")


def test_a_dip_darkens_the_whole_picture_after_the_flash_and_recovers() -> None:
    dipped, dark = storm("dip", seconds=6.0), Scene(replace(SMALL, seconds=6.0))
    lost = [float(dark.luma(number).mean()) - float(dipped.luma(number).mean()) for number in (30, 48, 145)]
    assert lost[1] > 2
    assert abs(lost[0]) < 0.3
    assert abs(lost[2]) < 0.3


def test_a_camera_dips_only_after_a_picture_that_shows_the_flash_and_no_deeper_than_it_was_bright() -> None:
    slow = replace(SMALL, seconds=4.0, rate=5, camera=Camera(gain=1, exposure=0.08))
    between = FlashPlan(kind="dip", at=1.45, rise=60)  # the shutter is closed then: 1.6 s is the first to show a glow
    dipped, dark = Scene(replace(slow, flashes=(between,))), Scene(slow)
    change = [float(dipped.luma(number).mean()) - float(dark.luma(number).mean()) for number in (8, 9)]
    assert change[0] > 0 > change[1]
    bright, faint = (
        float(Scene(replace(SMALL, flashes=(FlashPlan(kind="dip", at=1.5, rise=rise),))).luma(42).mean())
        for rise in (60.0, 1.5)
    )
    assert bright < 0.9 * faint


def test_a_flash_that_is_slower_than_life_begins_at_the_same_time_and_takes_longer() -> None:
    flash = FlashPlan(kind="afterglow", at=1.5, rise=60)
    usual, slow = (Scene(replace(SMALL, seconds=12, flashes=(replace(flash, slow=by),))).truth() for by in (1.0, 8.0))
    assert slow.flashes[0][0] == usual.flashes[0][0]
    assert slow.flashes[0][1] - slow.flashes[0][0] > 2 * (usual.flashes[0][1] - usual.flashes[0][0])
    assert parse_flash("afterglow@1.5:rise=60,slow=8") == replace(flash, slow=8)


def test_a_camera_without_an_image_is_black_and_recovers() -> None:
    blank = Scene(replace(SMALL, seconds=8.0, lookalikes=(LookalikePlan(kind="blank", at=1.0),)))
    light = [float(blank.luma(number).mean()) for number in (20, 26, 199)]
    assert light[1] < 0.8 * light[0]
    assert light[2] == pytest.approx(light[0], rel=0.02)


def test_a_codec_that_a_container_does_not_take_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"clip\.webm: cannot write it with codec libx264"):
        write_clip(storm(), tmp_path / "clip.webm", ClipFormat(codec="libx264"))
    assert not (tmp_path / "clip.webm").exists()


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no such policies")
def test_a_process_that_has_encoded_av1_is_scheduled_as_before(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    write_clip(Scene(Plan(seconds=0.5, size=(128, 96))), tmp_path / "a.mkv", ClipFormat(codec="libsvtav1", preset="12"))
    assert os.sched_getscheduler(0) == before
