"""The library: arrays and recordings in, flashes out, in the caller's own thread."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import detector
from detector import (
    Candidate,
    Detector,
    Flash,
    OpenError,
    Settings,
    Verdict,
    VideoError,
    find_flashes,
    load_settings,
)
from helpers.scenes import land, sky_light
from storm import ClipFormat, FlashPlan, LookalikePlan, Plan, Scene, write_clip

Image = NDArray[np.uint8]
RATE = 25.0
LIT = range(60, 63)  # 2.40 s to 2.52 s


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two flashes, at 1.5 s and 4.0 s, and a step of the exposure at 6.5 s."""
    plan = Plan(
        seconds=9.0,
        size=(320, 180),
        flashes=(FlashPlan(kind="sheet", at=1.5), FlashPlan(kind="bolt", at=4.0)),
        lookalikes=(LookalikePlan(kind="exposure_step", at=6.5),),
    )
    path = tmp_path_factory.mktemp("api") / "storm.mp4"
    write_clip(Scene(plan), path, ClipFormat())
    return path


def images(count: int = 120, lit: Sequence[int] = LIT, *, seed: int = 1) -> Iterator[tuple[float, Image]]:
    """Times, and luma of a town at night over which the sky lights up in the frames `lit`."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        scene = land() + (sky_light(60) if number in lit else 0)
        scene = scene + 2 * rng.standard_normal(scene.shape).astype(np.float32)
        yield number / RATE, np.clip(scene, 0, 255).astype(np.uint8)


def pushed(one: Detector, **more: Any) -> list[Flash]:
    """Every revision that `one` gives for `images`, its last ones too."""
    found = [flash for seconds, image in images(**more) for flash in one.push(image, seconds)]
    return found + one.finish()


@dataclass
class Fixed:
    """A verifier that says of all candidates the same, or fails."""

    answer: bool | None = True
    error: Exception | None = None
    threads: list[threading.Thread] = field(default_factory=list)
    closed: bool = False
    name: str = "fixed"

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        self.threads.append(threading.current_thread())
        if self.error is not None:
            raise self.error
        return [Verdict(lightning=self.answer, probability=0.5, verifier=self.name) for _ in candidates]

    def close(self) -> None:
        self.closed = True


def test_the_flashes_of_a_recording_come_each_once_with_their_verdict(storm: Path) -> None:
    flashes = list(find_flashes(storm))
    assert [flash.state for flash in flashes] == ["confirmed", "confirmed"]
    assert [flash.start_seconds for flash in flashes] == pytest.approx([1.52, 4.0], abs=0.041)
    assert len({flash.id for flash in flashes}) == 2
    for flash in flashes:
        assert (flash.camera, flash.file) == ("storm", "storm.mp4")
        assert flash.verdict is not None
        assert flash.verdict.probability is not None
        assert flash.media.still is None


def test_what_was_rejected_comes_when_it_is_asked_for(storm: Path) -> None:
    flashes = list(find_flashes(str(storm), rejected=True))
    assert [flash.state for flash in flashes] == ["confirmed", "confirmed", "rejected"]


def test_a_flash_comes_while_the_recording_is_still_being_read(storm: Path) -> None:
    flashes = find_flashes(storm)
    assert next(flashes).start_seconds < 2.0
    flashes.close()  # type: ignore[attr-defined]  # a generator, though only an iterator is promised


def test_the_start_that_is_given_dates_the_flashes(storm: Path) -> None:
    start = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    first = next(find_flashes(storm, camera="roof", start=start))
    assert first.camera == "roof"
    assert first.start_utc is not None
    assert first.start_utc.startswith("2026-11-23T00:00:00.")
    with pytest.raises(ValueError, match="no time zone"):
        next(find_flashes(storm, start=datetime(2026, 11, 22)))  # noqa: DTZ001 - that is the mistake


def test_settings_change_what_is_found(storm: Path) -> None:
    strict = load_settings([("strict", {"prefilter": {"min_rise_levels": 200.0}})])
    assert isinstance(strict, Settings)
    assert list(find_flashes(storm, strict)) == []


def test_a_recording_that_is_missing_or_no_video_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="nowhere"):
        next(find_flashes(tmp_path / "nowhere.mp4"))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(OpenError, match="text"):
        next(find_flashes(tmp_path / "text.mp4"))


@pytest.mark.parametrize("at", [1.5, 2.8])
def test_flashes_before_a_break_come_before_its_error_and_so_does_one_that_it_cuts_short(
    at: float, tmp_path: Path
) -> None:
    plan = Plan(seconds=5.0, size=(320, 180), flashes=(FlashPlan(kind="bolt", at=at),))
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write_clip(Scene(plan), whole, ClipFormat(codec="ffv1"))  # its frames are about equal in size
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 5])
    flashes = find_flashes(cut, rejected=True)
    assert next(flashes).start_seconds == pytest.approx(at, abs=0.041)
    with pytest.raises(VideoError, match="breaks off"):
        next(flashes)


def test_an_array_of_luma_gives_the_onset_at_once_and_the_verdict_at_the_end() -> None:
    one = Detector(camera="roof")
    when = {}
    for seconds, image in images():
        for flash in one.push(image, seconds):
            when[flash.state] = seconds
            last = flash
    assert one.finish() == []
    assert when["detected"] == 2.4
    assert 2.52 < when["confirmed"] < 4.0
    assert (last.camera, last.file, last.revision) == ("roof", None, 2)
    assert (last.start_seconds, last.end_seconds) == (2.4, 2.52)


@pytest.mark.parametrize("colour", ["bgr", "rgb"])
def test_colours_give_the_flash_that_their_luma_gives(colour: Any) -> None:
    found = []
    one = Detector()
    for seconds, image in images():
        found += one.push(np.repeat(image[..., None], 3, axis=2), seconds, colour)
    assert [(flash.state, flash.start_seconds) for flash in found] == [("detected", 2.4), ("confirmed", 2.4)]


def test_the_order_of_the_colours_decides_what_the_verifier_sees() -> None:
    def warmth(colour: Any, order: slice) -> float:
        one, tint = Detector(), np.array([1.0, 0.8, 0.5], np.float32)  # red, green, blue: a warm light
        for number, (seconds, image) in enumerate(images(lit=())):
            light = (sky_light(90) if number in LIT else 0 * land())[..., None] * tint
            rgb = np.clip(image[..., None] + light, 0, 255).astype(np.uint8)
            for flash in one.push(rgb[..., order], seconds, colour):
                if flash.verdict is not None:
                    return flash.verdict.evidence["warmth"]
        raise AssertionError("no verdict")

    forwards, backwards = slice(None), slice(None, None, -1)
    warm = warmth("rgb", forwards)
    assert warmth("bgr", backwards) == warm
    assert warmth("bgr", forwards) < 0 < warm


def test_one_flash_may_be_followed_by_frames_of_another_size_once_it_is_finished() -> None:
    one = Detector()
    first = list(images(62, lit=range(57, 59)))
    assert [flash.state for seconds, image in first for flash in one.push(image, seconds)] == ["detected"]
    assert [flash.state for flash in one.finish()] == ["confirmed"]
    assert [flash for seconds, image in images(100, lit=()) for flash in one.push(image[::2, ::2], 10 + seconds)] == []


def test_frames_after_finish_are_not_compared_with_those_before() -> None:
    one = Detector()
    assert [flash for seconds, image in images(62, lit=()) for flash in one.push(image, seconds)] == []
    one.finish()
    assert [flash for seconds, image in images(62, lit=range(3)) for flash in one.push(image, 2.48 + seconds)] == []


def test_levels_of_an_array_run_from_0_to_255() -> None:
    one = Detector()
    found = [
        flash
        for number in range(100)
        for flash in one.push(np.full((180, 320), 80 if number in LIT else 30, np.uint8), number / RATE)
    ]
    assert found[-1].peak_rise_levels == pytest.approx(50.0, abs=0.5)


def test_what_masks_hide_is_not_found() -> None:
    assert pushed(Detector(mask=[((0, 0), (1, 0), (1, 0.7), (0, 0.7))])) == []
    assert pushed(Detector(region=(0.0, 0.7, 1.0, 1.0))) == []


@pytest.mark.parametrize(("answer", "state"), [(True, "confirmed"), (False, "rejected"), (None, "unverified")])
def test_a_verifier_of_your_own_decides_in_the_thread_that_pushes(answer: bool | None, state: str) -> None:
    verifier = Fixed(answer)
    flashes = pushed(Detector(verifier=verifier))
    assert [flash.state for flash in flashes] == ["detected", state]
    assert verifier.threads == [threading.current_thread()]
    assert not verifier.closed


def test_a_verifier_that_fails_leaves_the_flash_unverified_with_the_reason() -> None:
    last = pushed(Detector(verifier=Fixed(error=RuntimeError("out of order"))))[-1]
    assert last.state == "unverified"
    assert last.verdict is not None
    assert last.verdict.reason == "RuntimeError: out of order"


def test_no_thread_is_started_and_no_file_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = threading.active_count()
    assert len(pushed(Detector())) == 2
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


GREY = np.zeros((90, 160), np.uint8)
RGB = np.zeros((90, 160, 3), np.uint8)
WRONG: dict[str, tuple[Callable[[Detector], object], str]] = {
    "floats": (lambda one: one.push(GREY.astype(np.float32), 1.0), "must be uint8, 0..255, got float32"),  # type: ignore[arg-type]
    "a list": (lambda one: one.push([[1]], 1.0), "must be a NumPy array, got list"),  # type: ignore[arg-type]
    "no order": (lambda one: one.push(RGB, 1.0), r"\(90, 160, 3\): say colour='bgr'"),
    "luma with an order": (lambda one: one.push(GREY, 1.0, "bgr"), "which is luma: colour must be None"),
    "unknown order": (lambda one: one.push(RGB, 1.0, "gbr"), "must be 'bgr', 'rgb' or None"),  # type: ignore[arg-type]
    "four channels": (lambda one: one.push(np.zeros((90, 160, 4), np.uint8), 1.0, "bgr"), r"got \(90, 160, 4\)"),
    "one dimension": (lambda one: one.push(GREY[0], 1.0), r"got \(160,\)"),
    "nothing": (lambda one: one.push(GREY[:0], 1.0), r"got \(0, 160\)"),
    "another size": (lambda one: one.push(GREY[:80], 1.0), r"\(80, 160\), the one before was \(90, 160\)"),
    "the same time": (lambda one: one.push(GREY, 0.5), "seconds is 0.5, but the frame before was at 0.5"),
    "backwards": (lambda one: one.push(GREY, 0.4), "seconds is 0.4, but the frame before was at 0.5"),
    "no number": (lambda one: one.push(GREY, float("nan")), "seconds is nan"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_array_or_time_is_refused_and_the_next_right_one_is_taken(what: str) -> None:
    one = Detector()
    one.push(GREY, 0.5)
    push, message = WRONG[what]
    with pytest.raises(ValueError, match=message):
        push(one)
    assert one.push(GREY, 1.5) == []


@pytest.mark.parametrize("name", ["Roof", "", "a" * 33, "north roof"])
def test_a_name_that_topics_do_not_allow_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 32 of a-z"):
        Detector(name)


def test_arrays_are_watched_where_they_are() -> None:
    class Noticing(Fixed):
        """Keeps the peak's luma."""

        def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
            self.peak = candidates[0].peak.luma
            return super().verify(candidates)

    verifier = Noticing()
    one = Detector(verifier=verifier)
    every = list(images())
    for seconds, image in every:
        image.flags.writeable = False
        one.push(image, seconds)
    assert any(verifier.peak is image for _, image in every)


def test_flashes_make_rows_of_plain_values() -> None:
    rows = json.loads(json.dumps([flash.to_dict() for flash in pushed(Detector())]))
    assert [row["state"] for row in rows] == ["detected", "confirmed"]
    assert rows[1]["verdict"]["verifier"] == "photometric"


def test_flashes_make_a_table_of_pandas_in_one_line() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not needed, and not installed")
    table = pandas.json_normalize([flash.to_dict() for flash in pushed(Detector())])
    assert list(table["state"]) == ["detected", "confirmed"]
    assert table["verdict.probability"][1] > 0.5


def test_the_version_is_that_of_the_project() -> None:
    assert detector.__version__ == version("lightning-detector")
