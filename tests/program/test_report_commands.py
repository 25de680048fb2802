"""`report` and `share` as a person calls them."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.storms import MadeRun, made_flash


@pytest.fixture
def run(tmp_path: Path) -> MadeRun:
    made = MadeRun(tmp_path / "run")
    for at in (5.0, 15.0, 25.0):
        made.add(made_flash(at, file="storm.mp4"), still=True, clip=True)
    made.write()
    return made


def call(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "detector", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_report_says_where_the_page_is(run: MadeRun) -> None:
    done = call("report", run.folder, "--timezone", "Europe/Vienna")
    assert (done.returncode, done.stdout) == (0, f"{run.folder / 'report.html'}\n")
    assert "21:14:25" in (run.folder / "report.html").read_text()
    assert (run.folder / "report-assets" / "report.js").is_file()


def test_report_exports_markers_instead_of_the_page(run: MadeRun) -> None:
    done = call("report", run.folder, "--export", "csv", "--marker-format", "kdenlive")
    assert (done.returncode, done.stdout) == (0, f"{run.folder / 'storm.mp4-markers.txt'}\n")
    assert not (run.folder / "report.html").exists()


def test_report_of_nothing_says_what_to_give(tmp_path: Path) -> None:
    done = call("report", tmp_path)
    assert done.returncode == 1
    assert "no flashes.jsonl in this folder; give the one that was named with --out" in done.stderr
    done = call("report", tmp_path, "--timezone", "Mars/Base")
    assert done.returncode == 2
    assert "is no time zone" in done.stderr


def test_share_makes_what_is_asked_for(run: MadeRun) -> None:
    done = call("share", run.folder, "--composite", "--reel", "--best", "2")
    assert done.returncode == 0
    assert [Path(line).name for line in done.stdout.splitlines()] == ["composite-west-ridge.jpg", "reel.mp4"]


def test_share_without_media_says_why(tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    made.add(made_flash(5.0))
    done = call("share", made.write(), "--reel")
    assert done.returncode == 1
    assert "nothing to share" in done.stderr
