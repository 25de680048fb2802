"""report.html as a file: readable without script, no address elsewhere, nothing that its own policy forbids."""

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from detector.errors import OutputError
from detector.events import Media
from detector.output.report.page import build_report
from helpers import ROOT
from helpers.storms import MadeRun, made_flash, write_curve

BERLIN = ZoneInfo("Europe/Berlin")
HOSTILE = "<script>alert(1)</script>"


class Found(HTMLParser):
    """Addresses, inline styles and handlers, and text, of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.text = ""
        self._in: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._in.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "poster"):
                self.addresses.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        if self._in and tag == self._in[-1]:
            self._in.pop()

    def handle_data(self, data: str) -> None:
        if not self._in:
            self.text += data


@pytest.fixture
def run(tmp_path: Path) -> MadeRun:
    """Three flashes with media, a doubtful and a rejected one, and their light curve."""
    made = MadeRun(tmp_path / "run")
    for n, at in enumerate((5.0, 20.0, 35.0)):
        made.add(made_flash(at, pulses=n + 1, file="storm.mp4"), still=True, clip=True)
    evidence = {"positivity": 1.0, "steadiness": 0.85}
    made.add(made_flash(50.0, file="storm.mp4", evidence=evidence), still=True)
    reason = "it grew slowly (suddenness 0.2)"
    made.add(made_flash(60.0, state="rejected", probability=0.02, reason=reason, file="storm.mp4"))
    made.write()
    write_curve(made.folder, "west-ridge", 70, made.flashes, file="storm.mp4")
    return made


def test_the_page_can_be_read_without_script(run: MadeRun) -> None:
    page = build_report(run.folder, zone=BERLIN)
    found = Found(page.read_text())
    for words in (
        "Storm of 14 July 2026", "local time (UTC+2)", "21:14:25.000", "19:14:25 UTC", "full in one frame",
        "Doubt: it shone evenly, as lamps do", "1 light looked like lightning and was rejected", "it grew slowly",
        "Clock from the files: to the second, unchecked", "Longest gap",
    ):  # fmt: skip
        assert words in found.text, words
    for flash in run.flashes[:3]:
        assert flash.media.clip in found.addresses
    assert page.read_text().count('class="spark"') == 5


def test_nothing_is_asked_for_elsewhere_and_every_file_is_there(run: MadeRun) -> None:
    page = build_report(run.folder, zone=BERLIN)
    found = Found(page.read_text())
    assert found.inline == []
    files = [one for one in found.addresses if not one.startswith(("#", "data:image/"))]
    assert files
    assert [one for one in files if not (run.folder / one).is_file()] == []


def test_a_page_in_another_folder_finds_the_media(run: MadeRun, tmp_path: Path) -> None:
    page = build_report(run.folder, zone=BERLIN, target=tmp_path / "elsewhere" / "index.html")
    files = [one for one in Found(page.read_text()).addresses if not one.startswith(("#", "data:image/"))]
    assert "../run/" + str(run.flashes[0].media.clip) in files
    assert [one for one in files if not (page.parent / one).is_file()] == []


def test_an_inline_page_holds_all_but_clips_and_its_policy_names_what_it_runs(run: MadeRun) -> None:
    text = build_report(run.folder, zone=BERLIN, inline=True).read_text()
    assert not (run.folder / "report-assets").exists()
    found = Found(text)
    kept = [one for one in found.addresses if not one.startswith(("#", "data:image/"))]
    assert set(kept) == {flash.media.clip for flash in run.flashes[:3]} | {run.flashes[3].media.still, "flashes.jsonl"}
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    for tag in ("script", "style"):
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert parts
        for part in parts:
            digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
            assert digest in policy.group(1).replace("&#43;", "+").replace("&#39;", "'"), tag


def test_words_from_outside_never_become_markup(tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    made.add(made_flash(5.0, file=f"{HOSTILE}.mp4"))
    made.add(made_flash(9.0, state="rejected", reason=f"it is {HOSTILE}"))
    made.add(made_flash(12.0, state="unverified", reason=HOSTILE, probability=None))
    text = build_report(made.write(), zone=BERLIN).read_text()
    assert HOSTILE not in text
    assert (text.count("<script"), text.count("</script")) == (5, 5)


def test_a_run_without_a_clock_shows_times_in_the_recording(tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    made.add(made_flash(65.5, file="storm.mp4", utc=None))
    found = Found(build_report(made.write(), zone=BERLIN).read_text())
    assert "Lightning in storm.mp4" in found.text
    assert "1:05.500" in found.text
    assert "No clock: seconds in the recording" in found.text


@pytest.mark.parametrize("state", ["rejected", None])
def test_a_run_that_found_nothing_says_so(tmp_path: Path, state: str | None) -> None:
    made = MadeRun(tmp_path)
    if state is not None:
        made.add(made_flash(5.0, state=state, reason="it grew slowly (suddenness 0.1)"))
    found = Found(build_report(made.write(), zone=BERLIN).read_text())
    assert "No lightning" in found.text
    assert "No lightning was found" in found.text
    assert "Busiest minute" not in found.text


def test_removed_media_are_said_on_the_card(tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    made.flashes.append(msgspec.structs.replace(made_flash(5.0), media=Media(still="stills/gone.jpg")))
    assert "Still removed" in Found(build_report(made.write(), zone=BERLIN).read_text()).text


def test_a_storm_over_midnight_names_both_days(tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    for at in (5.0, 4 * 3600.0):
        made.add(made_flash(at))
    text = build_report(made.write(), zone=BERLIN).read_text()
    assert "Storm of 14 to 15 July 2026" in text


def test_a_zone_with_half_an_hour_is_told(run: MadeRun) -> None:
    text = Found(build_report(run.folder, zone=ZoneInfo("Asia/Kolkata")).read_text()).text
    assert "local time (UTC+5:30)" in text
    assert "00:44:25.000" in text


def test_what_cannot_be_written_is_said(run: MadeRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="cannot write the report"):
        build_report(run.folder, zone=BERLIN, target=tmp_path / "file" / "report.html")


@pytest.mark.slow
def test_the_wheel_holds_templates_styles_and_scripts(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = "detector/output/report"
    there = {f"{folder}/{path.parent.name}/{path.name}" for path in (ROOT / folder).glob("*/*") if path.is_file()}
    assert {name for name in there if not name.endswith(".pyc")} <= names
    assert f"{folder}/assets/curve.js" in names
