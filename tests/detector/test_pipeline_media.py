"""The media of one source's flashes: stills with the verdict, clips after it, and neither ever costs an event."""

import gc
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.events import Flash, Opinion
from detector.output.media import MediaWriter
from detector.pipeline import SourceDetector
from detector.settings import EvidenceSettings
from helpers.candidates import candidate, frame
from helpers.media import Clip as Recording
from helpers.media import make_clip
from helpers.pipeline import Bench, Script
from stream import Clip, VideoError

NAME = "roof/000001.000s_roof-1"
"""Where the media of the first candidate lie."""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video that may be anybody's clip."""
    path = make_clip(tmp_path_factory.mktemp("clip") / "a.mp4", Recording(seconds=5.0, size=(64, 36)))
    return path.read_bytes()


@dataclass
class Recorded:
    """A source that has a clip of every moment since `begin`; it notes what was asked for."""

    data: bytes
    begin: float = -100.0
    asked: list[tuple[float, float]] = field(default_factory=list)

    def cut(self, start_seconds: float, end_seconds: float, _utc_offset: float | None = None) -> Clip | None:
        self.asked.append((start_seconds, end_seconds))
        return Clip(self.data, "mp4", max(start_seconds, self.begin), end_seconds)


@dataclass
class Run:
    """A source's detector with all that belongs to it; `push` and `finish` it, and ask what was `said`."""

    folder: Path
    script: Script
    source: object
    settings: EvidenceSettings = field(default_factory=EvidenceSettings)
    live: bool = False
    sheet: Callable[[Candidate], bytes] | None = None

    def __post_init__(self) -> None:
        self.bench = Bench()
        self.said: list[Flash] = []
        self.writer = MediaWriter(self.folder, self.settings, sheet=self.sheet)
        planner = self.writer.planner(self.source, 10.5, live=self.live)
        file = None if self.live else "storm.mp4"
        self.detector = SourceDetector(
            self.script, self.bench, self.said.append, media=self.writer, clips=planner, file=file
        )

    def push(self, *seconds: float) -> None:
        for when in seconds:
            self.detector.push(frame(30, seconds=when))
        self.writer.drain()

    def finish(self) -> None:
        self.detector.finish()
        self.writer.drain()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "clip-writer")


def second(start: float, name: str = "roof-2") -> Candidate:
    return replace(candidate(), id=name, start_seconds=start, peak_seconds=start, end_seconds=start + 0.04)


def test_a_clip_is_cut_once_the_time_after_the_flash_has_come_and_follows_as_a_revision_of_media_alone(
    tmp_path: Path, video: bytes
) -> None:
    source = Recorded(video)
    run = Run(tmp_path, Script([replace(candidate(), open=True)], [candidate()]), source)
    run.push(1.0, 1.6)
    run.bench.say(lightning=True)
    run.push(2.0, 3.0, 4.0, 5.0)
    assert source.asked == [], "1.04 s, 2 s after it, and 2 s in which a flash might still share it"
    run.push(5.04)
    assert source.asked == [(pytest.approx(-1.0), pytest.approx(3.04))]
    assert [(one.state, one.revision) for one in run.said] == [("detected", 1), ("confirmed", 2), ("confirmed", 3)]
    assert "state" in run.said[1].changed
    assert {key.partition(".")[0] for key in run.said[2].changed} == {"media"}
    confirmed, clipped = run.said[1:]
    assert confirmed.media.still == f"{NAME}.jpg"
    assert (confirmed.media.clip, clipped.media.clip) == (None, f"{NAME}.mp4")
    assert (clipped.media.clip_start_seconds, clipped.media.clip_end_seconds) == (-1.0, 3.04)
    assert clipped.media.note is None
    same = {"revision", "changed", "media", "latency_ms"}
    told = [{key: value for key, value in one.to_dict().items() if key not in same} for one in run.said[1:]]
    assert told[0] == told[1]
    assert run.files() == sorted(f"{NAME}{end}" for end in (".jpg", ".thumb.jpg", ".mp4", ".strip.jpg"))


def test_the_strip_holds_the_frames_of_the_second_around_the_onset(tmp_path: Path, video: bytes) -> None:
    run = Run(tmp_path, Script([candidate()]), Recorded(video))
    run.push(1.6)
    run.bench.say(lightning=True)
    run.finish()
    media = run.said[-1].media
    assert media.strip_seconds == pytest.approx([n / 25 for n in range(-12, 13)], abs=0.001)
    with av.open(str(tmp_path / str(media.strip))) as image:
        (sheet,) = image.decode(video=0)
    assert (sheet.width, sheet.height) == (10 * 320, 3 * 180)


def test_flashes_whose_clips_would_overlap_share_one_which_goes_with_the_last_of_them(
    tmp_path: Path, video: bytes
) -> None:
    source = Recorded(video)
    script = Script([candidate()], [], [replace(second(4.5), open=True)], [second(4.5)])
    run = Run(tmp_path, script, source)
    run.push(1.6)
    run.bench.say(lightning=None)
    run.push(3.0, 4.5, 5.2)
    run.bench.say(lightning=None)
    run.push(8.6)
    assert source.asked == [(pytest.approx(-1.0), pytest.approx(6.54))]
    clips = {one.id: one.media.clip for one in run.said}
    assert set(clips.values()) == {f"{NAME}.mp4"}
    first, other = run.bench.asked
    for asked, answer in (first, other):
        assert f"{NAME}.mp4" in run.files()
        answer(asked, run.bench.verdict(lightning=False))
    assert run.files() == ["roof/000001.000s_roof-1.thumb.jpg", "roof/000004.500s_roof-2.thumb.jpg"]
    assert [one.media.clip for one in run.said[-2:]] == [None, None]


def test_flashes_that_are_further_apart_have_clips_of_their_own(tmp_path: Path, video: bytes) -> None:
    source = Recorded(video)
    run = Run(tmp_path, Script([candidate()], [second(5.2)]), source)
    run.push(1.6)
    run.bench.say(lightning=True)
    run.push(5.8)
    run.bench.say(lightning=True)
    run.finish()
    assert source.asked == [
        (pytest.approx(-1.0), pytest.approx(3.04)), (pytest.approx(3.2), pytest.approx(5.84)),
    ]  # fmt: skip


def test_a_rejected_light_has_a_thumbnail_alone_and_no_clip_is_cut_of_it(tmp_path: Path, video: bytes) -> None:
    source = Recorded(video)
    run = Run(tmp_path, Script([candidate()]), source)
    run.push(1.6)
    run.bench.say(lightning=False)
    run.finish()
    assert source.asked == []
    assert run.said[-1].media.thumbnail == f"{NAME}.thumb.jpg"
    assert run.files() == [f"{NAME}.thumb.jpg"]


def test_what_waits_for_its_verdict_is_on_disk_under_names_that_say_so(tmp_path: Path, video: bytes) -> None:
    run = Run(tmp_path, Script([candidate()]), Recorded(video))
    run.push(1.6)
    run.finish()
    held = [one for one in gc.get_objects() if type(one) is Clip and one.data == video]
    assert not held, "clips are held in memory"
    kinds = (".jpg", ".thumb.jpg", ".mp4", ".strip.jpg")
    assert run.files() == sorted(f"{NAME}{kind}.new" for kind in kinds)
    assert run.said == []
    run.bench.say(lightning=None)
    assert run.files() == sorted(f"{NAME}{kind}" for kind in kinds)
    assert (run.said[-1].state, run.said[-1].media.clip) == ("unverified", f"{NAME}.mp4")
    run.bench.say(lightning=False)
    assert run.files() == [f"{NAME}.thumb.jpg"]


def test_a_clip_that_a_lost_camera_cuts_short_says_so_and_one_that_a_recording_ends_does_not(
    tmp_path: Path, video: bytes
) -> None:
    notes = []
    for live in (True, False):
        run = Run(tmp_path / str(live), Script([candidate()]), Recorded(video), live=live)
        run.push(1.6)
        run.bench.say(lightning=True)
        run.push(1.64)
        run.finish()
        notes.append(run.said[-1].media.note)
    assert notes == ["clip cut short: ends 1.4 s early (the camera was lost or watching ended)", None]


def test_a_clip_whose_beginning_is_not_kept_says_so_unless_the_source_itself_began_there(
    tmp_path: Path, video: bytes
) -> None:
    notes = []
    for first in (-3.0, 0.5):
        run = Run(tmp_path / str(first), Script([], [candidate()]), Recorded(video, begin=0.5))
        run.push(first, 1.6)
        run.bench.say(lightning=True)
        run.finish()
        notes.append(run.said[-1].media.note)
    assert "begins 1.5 s late (what came before was not kept" in str(notes[0])
    assert notes[1] is None


class Failing:
    """A source that fails at every clip."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def cut(self, _start: float, _end: float, _utc_offset: float | None = None) -> Clip | None:
        raise self._error


class Forgetful:
    """A source that has nothing of any moment, as a device."""

    def cut(self, _start: float, _end: float, _utc_offset: float | None = None) -> Clip | None:
        return None


@pytest.mark.parametrize(
    ("source", "note"),
    [
        (Failing(IndexError("tuple index out of range")), "no clip: IndexError: tuple index out of range"),
        (Failing(VideoError("no container takes it")), "no clip: no container takes it"),
        (Forgetful(), "no clip: nothing of its time is kept to cut it from"),
    ],
)
def test_a_flash_without_a_clip_says_why_in_its_event_and_once_in_the_log(
    source: object, note: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path, Script([candidate()]), source)
    run.push(1.6)
    run.bench.say(lightning=True)
    run.finish()
    assert str(run.said[-1].media.note).startswith(note)
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [f"roof-1: {note}"]
    assert run.said[-1].media.still is not None


def no_colours(_max_side: int | None) -> NDArray[np.uint8]:
    raise MemoryError


def test_a_still_that_cannot_be_made_costs_the_still_and_not_the_event(tmp_path: Path, video: bytes) -> None:
    broken = replace(candidate(), peak=replace(frame(90), color=no_colours))
    run = Run(tmp_path, Script([broken]), Recorded(video))
    run.push(1.6)
    run.bench.say(lightning=True)
    run.finish()
    assert [(one.state, one.media.still) for one in run.said] == [("confirmed", None)] * 2
    assert run.said[-1].media.note == "without its still: MemoryError: "
    assert run.said[-1].media.clip is not None


def test_media_that_cannot_be_written_cost_themselves_and_not_the_event(
    tmp_path: Path, video: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "roof").write_text("a file where the folder should be")
    run = Run(tmp_path, Script([candidate()]), Recorded(video))
    run.push(1.6)
    run.bench.say(lightning=True)
    run.finish()
    last = run.said[-1]
    assert (last.state, last.media.still, last.media.clip) == ("confirmed", None, None)
    assert "no clip: it could not be written" in str(last.media.note)
    assert f"{NAME}.jpg: cannot write the still" in caplog.text
    assert run.writer.lost >= 3


def test_a_folder_that_is_removed_while_media_wait_is_made_again_for_what_follows(tmp_path: Path, video: bytes) -> None:
    run = Run(tmp_path / "run", Script([candidate()], [second(30.0)]), Recorded(video))
    run.push(1.6)
    run.finish()
    for path in (tmp_path / "run" / "roof").iterdir():
        path.unlink()
    (tmp_path / "run" / "roof").rmdir()
    run.bench.say(lightning=True)
    assert (run.said[-1].state, run.said[-1].media.still, run.said[-1].media.clip) == ("confirmed", None, None)
    run.push(30.6)
    run.bench.say(lightning=True)
    run.finish()
    assert run.said[-1].media.clip == "roof/000030.000s_roof-2.mp4"


def test_a_clip_that_browsers_do_not_play_is_re_encoded_and_says_so(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = make_clip(tmp_path_factory.mktemp("old") / "a.mkv", Recording(seconds=2.0, size=(64, 36), codec="mpeg4"))

    class Old:
        def cut(self, start: float, end: float, _utc_offset: float | None = None) -> Clip | None:
            return Clip(made.read_bytes(), "mkv", start, end, "mpeg4")

    run = Run(tmp_path, Script([candidate()]), Old())
    run.push(1.6)
    run.bench.say(lightning=True)
    run.finish()
    media = run.said[-1].media
    assert media.note == "clip re-encoded: not every browser plays mpeg4"
    with av.open(io.BytesIO((tmp_path / str(media.clip)).read_bytes())) as clip:
        assert clip.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize(
    ("lightning", "model", "kept"), [(False, True, True), (None, True, True), (False, False, False)]
)
def test_what_the_model_saw_is_kept_of_each_light_that_it_judged_and_of_no_other(
    tmp_path: Path, video: bytes, *, lightning: bool | None, model: bool, kept: bool
) -> None:
    run = Run(tmp_path, Script([candidate()]), Recorded(video), sheet=lambda one: f"of {one.id}".encode())
    run.push(1.6)
    plain = Bench.verdict(lightning)
    opinion = Opinion(verifier="minicpm", lightning=lightning, probability=0.9, model="a/model")
    asked, answer = run.bench.asked[-1]
    answer(asked, msgspec.structs.replace(plain, opinions=(opinion,)) if model else plain)
    run.finish()
    media = run.said[-1].media
    assert media.model == (f"{NAME}.model.jpg" if kept else None)
    assert (f"{NAME}.model.jpg" in run.files()) is kept
    if kept:
        assert (tmp_path / f"{NAME}.model.jpg").read_bytes() == b"of roof-1"


def test_a_sheet_that_cannot_be_made_costs_no_flash(tmp_path: Path, video: bytes) -> None:
    def broken(_one: Candidate) -> bytes:
        raise ValueError("no frames")

    run = Run(tmp_path, Script([candidate()]), Recorded(video), sheet=broken)
    run.push(1.6)
    run.bench.say(lightning=True)
    run.finish()
    media = run.said[-1].media
    assert (media.still, media.model) == (f"{NAME}.jpg", None)
    assert "no frames" in (media.note or "")
