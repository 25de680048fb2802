"""One source's flashes: detected at once, then judged, under one id with a rising revision."""

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.events import Flash, Verdict
from detector.output.media import ClipSource, MediaWriter
from detector.pipeline import SourceDetector, VerdictCallback
from detector.settings import load_settings
from helpers.candidates import candidate, frame
from stream import Clip, Frame


class Script:
    """A prefilter that plays back what each frame is to bring."""

    def __init__(self, *pushed: Sequence[Candidate], flushed: Sequence[Candidate] = ()) -> None:
        self._pushed = list(pushed)
        self._flushed = flushed

    def push(self, _frame: Frame) -> list[Candidate]:
        return list(self._pushed.pop(0))

    def flush(self) -> list[Candidate]:
        return list(self._flushed)


class Bench:
    """A verifier that keeps what it is asked until the test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[Candidate, VerdictCallback]] = []
        self.waited: list[bool] = []

    def ask(self, asked: Candidate, answer: VerdictCallback, *, wait: bool = False) -> None:
        self.asked.append((asked, answer))
        self.waited.append(wait)

    def say(self, lightning: bool | None) -> None:
        asked, answer = self.asked[-1]
        answer(asked, Verdict(lightning=lightning, probability=0.9, verifier="bench"))


def opening() -> Candidate:
    return replace(candidate(), open=True)


def test_a_flash_is_detected_at_once_and_confirmed_later_under_the_same_id() -> None:
    bench, said = Bench(), list[Flash]()
    detector = SourceDetector(Script([opening()], [candidate()]), bench, said.append, file="a/storm.mp4")
    detector.push(frame(30))
    assert [(flash.state, flash.revision, flash.end_seconds) for flash in said] == [("detected", 1, None)]
    detector.push(frame(30))
    bench.say(lightning=True)
    assert [(flash.state, flash.revision) for flash in said[1:]] == [("confirmed", 2)]
    assert said[1].id == said[0].id
    assert said[1].end_seconds == pytest.approx(1.04)
    assert said[1].file == "a/storm.mp4"


def test_a_late_verdict_follows_as_another_revision() -> None:
    bench, said = Bench(), list[Flash]()
    detector = SourceDetector(Script([opening()], [candidate()]), bench, said.append)
    detector.push(frame(30))
    detector.push(frame(30))
    bench.say(lightning=None)
    bench.say(lightning=False)
    assert [(flash.state, flash.revision) for flash in said] == [("detected", 1), ("unverified", 2), ("rejected", 3)]


def test_what_is_open_at_the_end_of_a_source_is_closed_and_judged() -> None:
    bench, said = Bench(), list[Flash]()
    detector = SourceDetector(Script([opening()], flushed=[candidate()]), bench, said.append)
    detector.push(frame(30))
    detector.finish()
    assert len(bench.asked) == 1


@pytest.mark.parametrize(("file", "waits"), [("storm.mp4", True), (None, False)])
def test_a_file_waits_for_a_busy_verifier_and_a_camera_never_does(file: str | None, waits: bool) -> None:
    bench = Bench()
    detector = SourceDetector(Script([candidate()]), bench, list[Flash]().append, file=file)
    detector.push(frame(30))
    assert bench.waited == [waits]


def test_utc_of_the_start_is_that_of_its_frame() -> None:
    known = replace(frame(30, seconds=1.0), utc=1_800_000_000.25, clock="rtcp", utc_error_ms=5.0)
    said = list[Flash]()
    detector = SourceDetector(Script([replace(opening(), onset=known)]), Bench(), said.append)
    detector.push(frame(30))
    assert (said[0].start_utc, said[0].clock, said[0].utc_error_ms) == ("2027-01-15T08:00:00.250000Z", "rtcp", 5.0)


def test_a_flash_has_its_still_and_a_rejected_candidate_has_none(tmp_path: Path) -> None:
    bench, said = Bench(), list[Flash]()
    second = replace(candidate(), id="roof-2")
    detector = SourceDetector(
        Script([candidate()], [second]), bench, said.append, media=MediaWriter(tmp_path, load_settings().evidence)
    )
    detector.push(frame(30))
    bench.say(lightning=True)
    detector.push(frame(30))
    bench.say(lightning=False)
    assert [flash.media.still for flash in said] == ["stills/roof-1.jpg", None]
    assert [path.name for path in (tmp_path / "stills").iterdir()] == ["roof-1.jpg"]


def test_a_still_that_cannot_be_written_costs_the_still_and_not_the_event(tmp_path: Path) -> None:
    (tmp_path / "stills").write_text("a file where the folder should be")
    bench, said = Bench(), list[Flash]()
    detector = SourceDetector(
        Script([candidate()]), bench, said.append, media=MediaWriter(tmp_path, load_settings().evidence)
    )
    detector.push(frame(30))
    bench.say(lightning=True)
    assert [(flash.state, flash.media.still) for flash in said] == [("confirmed", None)]


class Recorded:
    """A source that has a clip of every moment."""

    DATA = b"the clip of a source in test_pipeline"

    def cut(self, start_seconds: float, _end_seconds: float) -> Clip | None:
        return Clip(self.DATA, "mp4", start_seconds)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("unverified_first", [False, True])
def test_what_waits_for_its_verdict_has_its_media_on_disk_under_names_that_say_so_and_a_rejected_one_loses_them(
    unverified_first: bool, tmp_path: Path
) -> None:
    bench, said = Bench(), list[Flash]()
    writer = MediaWriter(tmp_path, load_settings().evidence)
    second = replace(candidate(), id="roof-2")
    detector = SourceDetector(Script([candidate()], [second]), bench, said.append, media=writer, source=Recorded())
    detector.push(frame(30))
    detector.push(frame(30))
    held = [one for one in gc.get_objects() if type(one) is Clip and one.data == Recorded.DATA]
    assert not held, "clips are held in memory"
    waiting = ["clips/roof-1.mp4.new", "stills/roof-1.jpg.new"]
    assert files(tmp_path) == sorted([*waiting, "clips/roof-2.mp4.new", "stills/roof-2.jpg.new"])
    if unverified_first:
        bench.say(lightning=None)
        assert said[-1].media.clip == "clips/roof-2.mp4"
        assert files(tmp_path) == sorted([*waiting, "clips/roof-2.mp4", "stills/roof-2.jpg"])
    bench.say(lightning=False)
    assert (said[-1].media.still, said[-1].media.clip) == (None, None)
    assert files(tmp_path) == waiting


def test_media_that_waited_for_a_verdict_and_are_gone_cost_no_event_and_are_counted_as_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench, said = Bench(), list[Flash]()
    writer = MediaWriter(tmp_path, load_settings().evidence)
    detector = SourceDetector(Script([candidate()]), bench, said.append, media=writer, source=Recorded())
    detector.push(frame(30))
    (tmp_path / "clips" / "roof-1.mp4.new").unlink()
    bench.say(lightning=True)
    assert (said[-1].media.still, said[-1].media.clip) == ("stills/roof-1.jpg", None)
    assert files(tmp_path) == ["stills/roof-1.jpg"]
    assert "roof-1.mp4.new: cannot be renamed to roof-1.mp4: No such file or directory" in caplog.text
    assert writer.lost == 1


def test_a_clip_that_cannot_be_written_costs_neither_the_still_nor_the_event(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file where the folder should be")
    bench, said = Bench(), list[Flash]()
    writer = MediaWriter(tmp_path, load_settings().evidence)
    detector = SourceDetector(Script([candidate()]), bench, said.append, media=writer, source=Recorded())
    detector.push(frame(30))
    bench.say(lightning=True)
    assert [(flash.state, flash.media.still, flash.media.clip) for flash in said] == [
        ("confirmed", "stills/roof-1.jpg", None)
    ]
    assert (tmp_path / "stills" / "roof-1.jpg").is_file()
    assert writer.lost == 1


class Refusing:
    """A source that fails at every clip."""

    def cut(self, _start_seconds: float, _end_seconds: float) -> Clip | None:
        raise IndexError("tuple index out of range")


def no_colours(_max_side: int | None) -> NDArray[np.uint8]:
    raise MemoryError


def test_media_that_cannot_be_made_cost_the_media_and_not_the_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench, said = Bench(), list[Flash]()
    writer = MediaWriter(tmp_path, load_settings().evidence)
    broken = replace(candidate(), peak=replace(frame(90), color=no_colours))
    detector = SourceDetector(Script([broken]), bench, said.append, media=writer, source=Refusing())
    detector.push(frame(30))
    bench.say(lightning=True)
    assert [(flash.state, flash.media.still, flash.media.clip) for flash in said] == [("confirmed", None, None)]
    assert "roof-1: without its still: MemoryError" in caplog.text
    assert "roof-1: without its clip: IndexError: tuple index out of range" in caplog.text


class Forgetful:
    """A source that has nothing of any moment, as a camera right after a jump of its time stamps."""

    def cut(self, _start_seconds: float, _end_seconds: float) -> Clip | None:
        return None


class Late:
    """A source that has what came after the flash only, as a camera with a key frame soon after such a jump."""

    def cut(self, _start_seconds: float, end_seconds: float) -> Clip | None:
        return Clip(b"nothing of the flash", "mp4", end_seconds - 0.1)


@pytest.mark.parametrize("source", [Forgetful(), Late()])
def test_a_flash_whose_moment_its_source_does_not_have_is_said_once_to_be_without_its_clip_and_a_rejected_light_is_not(
    source: ClipSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench, said = Bench(), list[Flash]()
    writer = MediaWriter(tmp_path, load_settings().evidence)
    second = replace(candidate(), id="roof-2")
    detector = SourceDetector(Script([candidate()], [second]), bench, said.append, media=writer, source=source)
    detector.push(frame(30))
    bench.say(lightning=None)
    bench.say(lightning=True)  # the verdict that came late
    detector.push(frame(30))
    bench.say(lightning=False)
    assert [(flash.state, flash.media.clip) for flash in said[:2]] == [("unverified", None), ("confirmed", None)]
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "roof-1: without its clip: nothing of its time is kept to cut it from"
    ]
