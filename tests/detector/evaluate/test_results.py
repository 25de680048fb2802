"""How the results of a run are read and given to labelled clips."""

from pathlib import Path

import pytest

from detector.errors import LabelsError
from detector.evaluate.results import by_clip, of_other_clips, read_results
from helpers.flashes import event_lines, flash


def test_the_last_revision_counts_and_rejected_flashes_do_not(tmp_path: Path) -> None:
    results = tmp_path / "flashes.jsonl"
    results.write_bytes(
        event_lines(
            flash("x", 1, 2, state="detected", revision=1),
            flash("x", 1, 2.5, revision=2),
            flash("y", 5, 6, state="rejected"),
            flash("z", 7, 8, state="unverified"),
        )
    )
    reports = by_clip(read_results(tmp_path), ["a.mp4"])
    assert [report.interval for report in reports["a.mp4"]] == [(1, 2.5), (7, 8)]
    confirmed = by_clip(read_results(results), ["a.mp4"], ["confirmed"])
    assert [report.interval for report in confirmed["a.mp4"]] == [(1, 2.5)]


def test_a_clip_is_known_by_its_path_and_else_by_its_name_whatever_folder_it_lies_in() -> None:
    of_both = [flash("x", 1, 2, file="100/a.mp4"), flash("y", 5, 6, file="101/a.mp4")]
    assert {clip: len(of) for clip, of in by_clip(of_both, ["100/a.mp4", "101/a.mp4"]).items()} == {
        "100/a.mp4": 1,
        "101/a.mp4": 1,
    }
    assert len(by_clip(of_both[:1], ["a.mp4"])["a.mp4"]) == 1
    assert of_other_clips(of_both[:1], ["a.mp4"]) == []
    with pytest.raises(
        LabelsError, match=r"a\.mp4: results are of 100/a\.mp4 and 101/a\.mp4; label each clip by its path"
    ):
        by_clip(of_both, ["a.mp4"])


def test_a_flash_of_another_file_of_the_same_name_is_no_false_alarm_of_a_clip() -> None:
    flashes = [flash("x", 1, 2, file="100/a.mp4"), flash("y", 5, 6, file="a.mp4")]
    assert [report.interval for report in by_clip(flashes, ["a.mp4"])["a.mp4"]] == [(5, 6)]
    assert [other.file for other in of_other_clips(flashes, ["a.mp4"])] == ["100/a.mp4"]
    assert [report.interval for report in by_clip([flash("z", 1, 2, file="a.mkv")], ["a.mp4"])["a.mp4"]] == [(1, 2)]


def test_a_line_that_is_no_event_is_named_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(event_lines(flash("x", 1, 2)) + b"oops\n")
    with pytest.raises(LabelsError, match="line 2"):
        read_results(path)
