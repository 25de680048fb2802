"""One source's flashes: detected at once, then judged, under one id with a rising revision."""

import threading
from dataclasses import replace

import pytest

from detector.candidate import Candidate
from detector.events import Flash
from detector.pipeline import SourceDetector
from helpers.candidates import candidate, frame
from helpers.pipeline import Bench, Script
from stream import Frame


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


@pytest.mark.parametrize(
    ("file", "damaged_at", "state"),
    [
        ("storm.mp4", 1.2, "unverified"),
        ("storm.mp4", 0.8, "unverified"),
        ("storm.mp4", 1.4, "confirmed"),
        (None, 1.2, "confirmed"),
    ],
)
def test_a_flash_right_beside_damage_in_a_file_is_not_confirmed(
    file: str | None, damaged_at: float, state: str
) -> None:
    bench, said = Bench(), list[Flash]()
    detector = SourceDetector(Script([], [], [candidate()]), bench, said.append, file=file)
    for seconds, quality in ((0.5, ()), (damaged_at, ("decode_error",)), (1.5, ())):
        detector.push(replace(frame(30, seconds=seconds), quality=quality))
    bench.say(lightning=True)
    assert [flash.state for flash in said] == [state]


def test_frames_of_two_cameras_are_looked_at_one_after_the_other() -> None:
    inside, together = threading.Semaphore(1), list[bool]()

    class Slow(Script):
        def push(self, frame: Frame) -> list[Candidate]:
            alone = inside.acquire(blocking=False)
            together.append(not alone)
            if alone:
                leave.wait(0.3)  # time for the other to come in
                inside.release()
            return []

    leave = threading.Event()
    cameras = [SourceDetector(Slow([], []), Bench(), list[Flash]().append) for _ in range(2)]
    threads = [threading.Thread(target=camera.push, args=(frame(30),)) for camera in cameras]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert together == [False, False]
