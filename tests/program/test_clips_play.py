"""Every confirmed flash has a clip that plays from its first frame, in FFmpeg and in a browser, and holds the flash."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accuracy.footage import footage_folder, labelled_clips
from helpers.chromium import Browser, missing
from helpers.clip_checks import clip_faults, confirmed_flashes, source_facts
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PLAN = Plan(
    seconds=16.0,
    size=(320, 180),
    seed=5,
    flashes=(
        FlashPlan(kind="sheet", at=0.8, pulses=2),
        FlashPlan(kind="bolt", at=7.0, pulses=4),
        FlashPlan(kind="sheet", at=9.6),
        FlashPlan(kind="sheet", at=15.2),
    ),
)
FORMATS = {
    "storm.mp4": ClipFormat(key_seconds=4.0),
    "storm.mkv": ClipFormat(codec="libx265", key_seconds=2.0),
    "storm.webm": ClipFormat(codec="libvpx", bit_rate=1_500_000, key_seconds=3.0),
    "storm.avi": ClipFormat(codec="mpeg4", bit_rate=2_500_000, key_seconds=0.5),
}


def replayed(source: Path, out: Path, *more: str) -> Path:
    words = [sys.executable, "-m", "detector", "replay", str(source), "--out", str(out), "--quiet", *more]
    subprocess.run([*words, "--verifier", "photometric"], check=True, capture_output=True, timeout=280)
    return out


@pytest.fixture(scope="module", params=list(FORMATS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clips")
    source = folder / request.param
    write_clip(Scene(PLAN), source, FORMATS[request.param])
    return source, replayed(source, folder / "out")


def test_every_clip_decodes_from_its_first_frame_and_holds_its_flash_with_what_was_before_and_after(
    run: tuple[Path, Path],
) -> None:
    source, out = run
    flashes = confirmed_flashes(out)
    assert len(flashes) == 4
    facts = source_facts(source)
    assert [fault for flash in flashes for fault in clip_faults(out, flash, facts)] == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg on the PATH")
def test_the_program_ffmpeg_plays_every_clip_without_a_word(run: tuple[Path, Path]) -> None:
    _, out = run
    for clip in {flash.media.clip for flash in confirmed_flashes(out)}:
        words = ["ffmpeg", "-v", "warning", "-xerror", "-err_detect", "explode", "-i", str(out / str(clip))]
        done = subprocess.run([*words, "-f", "null", "-"], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


PLAYS = """new Promise(done => {
  const v = document.querySelector('video'), seen = [];
  const next = (_now, about) => { seen.push(about.mediaTime); v.requestVideoFrameCallback(next); };
  v.requestVideoFrameCallback(next);
  v.addEventListener('error', () => done('error ' + v.error.message));
  v.addEventListener('ended', () => done(seen));
  v.src = v.dataset.clip; v.playbackRate = 2; v.play();
})"""


@pytest.mark.web
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_chromium_plays_every_clip_from_its_first_frame_to_its_end(run: tuple[Path, Path], chromium: Browser) -> None:
    source, out = run
    if FORMATS[source.name].codec == "libx265":  # copied otherwise, and many a Chromium has no decoder for it
        out = replayed(source, out.with_name("reencoded"), "--set", "evidence.reencode_hevc=true")
    for flash in confirmed_flashes(out):
        media = flash.media
        assert media.clip is not None
        assert media.clip_start_seconds is not None
        assert media.clip_end_seconds is not None
        page_file = out / "play.html"
        page_file.write_text(f'<!doctype html><video muted data-clip="{media.clip}"></video>')
        page = chromium.page()
        page.open(page_file.as_uri())
        shown = page.run(PLAYS)
        assert isinstance(shown, list), f"{media.clip}: {shown}"
        assert shown[0] < 0.1, "the first frame is shown"
        assert shown[-1] == pytest.approx(media.clip_end_seconds - media.clip_start_seconds, abs=0.25)
        assert page.errors == []


@pytest.mark.footage
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    footage_folder() is None, reason="no real clips; set LIGHTNING_FOOTAGE to a folder with labels.json"
)
def test_every_clip_of_real_flashes_plays_and_holds_its_flash(tmp_path: Path) -> None:
    folder = footage_folder()
    assert folder is not None
    faults: list[str] = []
    found = 0
    for source in labelled_clips(folder):
        out = replayed(source, tmp_path / source.stem)
        flashes = confirmed_flashes(out) if (out / "flashes.jsonl").exists() else []
        found += len(flashes)
        facts = source_facts(source)
        faults += [fault for flash in flashes for fault in clip_faults(out, flash, facts)]
    assert found
    assert faults == []
