"""Markers for video editors: at the frame, in each one's own form."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from detector.output.report.markers import markers_text, timecode, write_markers
from detector.output.report.model import Report, make_report
from detector.output.report.source import read_run
from helpers.storms import made_flash, write_flashes


@pytest.fixture
def report(tmp_path: Path) -> Report:
    flashes = [
        made_flash(3661.48, "a", file="a.mp4", rise=100.0),
        made_flash(2.0, "b", file="night/b.mp4", rise=50.0),
        made_flash(9.0, "a", file="a.mp4", state="rejected", reason="it grew slowly"),
    ]
    write_flashes(tmp_path / "flashes.jsonl", flashes)
    return make_report(read_run(tmp_path), ZoneInfo("UTC"))


def test_each_recording_has_a_file_of_its_own_without_what_was_rejected(report: Report, tmp_path: Path) -> None:
    written = write_markers(report, tmp_path, "resolve")
    assert {path.name for path in written} == {"a.mp4-markers.edl", "night-b.mp4-markers.edl"}
    text = (tmp_path / "a.mp4-markers.edl").read_text()
    assert "02:01:01:12 02:01:01:15" in text
    assert "|C:ResolveColorPurple |M:#1 +100 levels confirmed |D:3" in text
    assert "rejected" not in text


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("premiere", "#1 +100 levels confirmed\tlit 60\N{NO-BREAK SPACE}% of the frame"),
        ("premiere", "\t01:01:01:12\t01:01:01:15\t00:00:00:03\tComment"),
        ("kdenlive", "01:01:01.480 #1 +100 levels confirmed\n"),
    ],
)
def test_every_editor_has_its_form(report: Report, form: str, line: str) -> None:
    flashes = [one for one in report.flashes if one.flash.file == "a.mp4" and one.flash.state == "confirmed"]
    assert line in markers_text(flashes, form, 25.0)


def test_a_timecode_counts_whole_frames() -> None:
    assert timecode(90_000 + 29, 29.97) == "00:50:00:29"
    assert timecode(24, 25, hours=1) == "01:00:00:24"
