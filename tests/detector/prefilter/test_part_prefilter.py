"""The prefilter of a part of a recording: it tells what begins in the part, as that of the whole does."""

from collections.abc import Iterator
from itertools import islice

import pytest

from detector.candidate import Candidate
from detector.prefilter.part_prefilter import PartPrefilter
from detector.settings import load_settings
from helpers.scenes import closed, frames, lit, marked
from stream import Frame

FLASHES = ((21.0, 21.04), (29.96, 30.08), (33.0, 33.12), (36.0, 36.04))  # the second one goes on across the cut


def watcher(start: float, end: float) -> PartPrefilter:
    return PartPrefilter("a", load_settings([]).prefilter, (start, end))


def part_frames(begin_frame: int) -> Iterator[Frame]:
    return islice(frames(lit(*FLASHES), seconds=40), begin_frame, None)


def part(begin_frame: int, start: float, end: float) -> list[Candidate]:
    return closed(part_frames(begin_frame), watcher(start, end))


@pytest.fixture(scope="module")
def whole() -> list[Candidate]:
    return closed(frames(lit(*FLASHES), seconds=40))


def test_each_flash_belongs_to_the_part_in_which_it_begins(whole: list[Candidate]) -> None:
    starts = [candidate.start_seconds for candidate in whole]
    assert starts == pytest.approx([start for start, _ in FLASHES])
    told = [[one.start_seconds for one in part(0, *span)] for span in ((0.0, 30.0), (30.0, 34.0), (34.0, 99.0))]
    assert told == [starts[:2], starts[2:3], starts[3:]]


@pytest.mark.parametrize("begin_frame", [0, 1, 2, 50, 51, 99, 100])
def test_the_frames_of_a_flash_do_not_depend_on_where_reading_began(begin_frame: int, whole: list[Candidate]) -> None:
    for found, expected in zip(part(begin_frame, 20.0, 99.0), whole, strict=True):
        assert found.before is not None
        assert expected.before is not None
        assert found.before.seconds == expected.before.seconds
        assert [one.seconds for one in found.quiet] == [one.seconds for one in expected.quiet]


def test_it_learns_from_the_frames_before_the_part_at_a_varying_rate_too() -> None:
    source = marked(part_frames(100), duration=lambda frame: frame.seconds / 301)
    first = closed(source, watcher(20.0, 22.0))[0]
    assert first.start_seconds == pytest.approx(21.0)
    assert first.context.seen_before is not None  # three seconds are known by then
