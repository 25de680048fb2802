"""What must hold on real clips, by the kind and class that their labels.json gives; no clip is known here."""

import pytest

from accuracy.footage import WatchedClip, footage_folder, labelled_clips, read_golden, real_time, watch_clip
from detector.evaluate.score import total

FOLDER = footage_folder()
pytestmark = [
    pytest.mark.footage,
    pytest.mark.timeout(300),
    pytest.mark.skipif(FOLDER is None, reason="no real clips; set LIGHTNING_FOOTAGE to a folder with labels.json"),
]
# The README says that some of these are taken for lightning.
HARD_CLASSES = ("fireworks", "lamp")
# Further reports on a flash that has one, in a set of some 30 flashes.
MOST_SPLITS = 2


@pytest.fixture(scope="module")
def clips() -> list[WatchedClip]:
    assert FOLDER is not None
    return [watch_clip(path) for path in labelled_clips(FOLDER)]


@pytest.fixture(scope="module")
def negatives(clips: list[WatchedClip]) -> list[WatchedClip]:
    return [clip for clip in clips if clip.labels.kind == "negative" and clip.labels.category not in HARD_CLASSES]


def test_nearly_every_flash_and_pulse_is_a_candidate(clips: list[WatchedClip]) -> None:
    score = total(clip.candidates for clip in real_time(clips))
    assert score.recall is not None
    assert score.recall >= 0.97, [(clip.name, clip.candidates.missed) for clip in clips if clip.candidates.missed]
    assert score.pulse_recall is not None
    assert score.pulse_recall >= 0.95


def test_nearly_every_flash_is_confirmed(clips: list[WatchedClip]) -> None:
    score = total(clip.confirmed for clip in real_time(clips))
    assert score.recall is not None
    assert score.recall >= 0.97, [(clip.name, clip.confirmed.missed) for clip in clips if clip.confirmed.missed]


def test_time_lapses_are_found_for_the_most_part(clips: list[WatchedClip]) -> None:
    score = total(clip.candidates for clip in clips if clip.labels.category == "time-lapse")
    assert score.recall is None or score.recall >= 0.8


def test_hardly_a_flash_is_reported_twice(clips: list[WatchedClip]) -> None:
    # Of both open sets, clips that begin inside a flash included; most such reports are pieces of those.
    score = total(clip.confirmed for clip in clips)
    assert score.duplicates <= MOST_SPLITS, [clip.name for clip in clips if clip.confirmed.duplicates]


def test_onsets_are_within_a_frame_of_the_label(clips: list[WatchedClip]) -> None:
    # Two frames where every source frame comes twice, hence the 95th percentile; 24 frames a second or more.
    errors = [abs(error) for clip in real_time(clips) for error in clip.confirmed.onset_errors]
    assert sum(error <= 1 / 24 + 0.001 for error in errors) >= 0.95 * len(errors)


def test_negatives_have_no_false_alarm(negatives: list[WatchedClip]) -> None:
    assert {clip.name: clip.confirmed.false_intervals for clip in negatives if clip.confirmed.false_alarms} == {}


def test_most_negatives_have_hardly_a_candidate(negatives: list[WatchedClip]) -> None:
    quiet = [clip for clip in negatives if (clip.candidates.covered_share or 0.0) <= 0.02]
    assert 3 * len(quiet) >= 2 * len(negatives)


def test_what_is_found_is_what_was_kept_beside_the_clips(clips: list[WatchedClip]) -> None:
    assert FOLDER is not None
    golden = read_golden(FOLDER)
    if golden is None:
        pytest.skip("no golden.json beside the clips; tools/bench accuracy --only footage --golden writes it")
    found = {clip.name: clip.flashes for clip in clips}
    assert {name: flashes for name, flashes in found.items() if golden.get(name) != flashes} == {}
    assert set(golden) == set(found)
