"""What `tune` says of a recording."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from detector.cli import main as cli
from detector.evaluate.diagnose import Trace, finds, near_misses, proposals, terminal_curve, trace_frames
from detector.run.cameras import load_cameras
from detector.settings import PrefilterSettings, load_settings
from helpers.scenes import Change, Picture, frames, lit, patch, sky_light

SETTINGS = load_settings()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page goes into the current folder."""
    monkeypatch.chdir(tmp_path)


def proposed(trace: Trace, change: Change, seconds: float = 4.0) -> list[str]:
    """What is proposed for the recording of `change`, tried on the same."""

    def found_with(settings: PrefilterSettings, moment: float) -> bool:
        return finds(frames(change, seconds=seconds), settings, moment)

    return proposals(trace, SETTINGS.prefilter, found_with)


def test_a_flash_stands_above_the_threshold_and_quiet_video_below() -> None:
    flash = lit((2.0, 2.08))
    trace = trace_frames("roof", frames(flash), SETTINGS)
    assert len(trace.seconds) == 100
    bright = trace.strength >= 1
    assert trace.seconds[bright].tolist() == pytest.approx([2.0, 2.04])
    assert [finding.verdict.state for finding in trace.found] == ["confirmed"]
    assert proposed(trace, flash) == ["# the settings in use fit this recording"]


def test_steady_light_that_was_cut_away_from_a_flash_is_shown() -> None:
    def lamp(when: float, quiet: Picture) -> Picture:
        """A flash that leaves a lamp on."""
        return lit((1.2, 1.28), light=sky_light(120))(when, lit((1.28, 9.0), light=sky_light(24))(when, quiet))

    (left_on,) = trace_frames("roof", frames(lamp, seconds=4), SETTINGS).found
    assert left_on.end_seconds == pytest.approx(1.28)
    assert left_on.steady_from == pytest.approx(1.28)
    (went_out,) = trace_frames("roof", frames(lit((1.2, 1.28), light=sky_light(120)), seconds=3), SETTINGS).found
    assert went_out.steady_from is None


def test_a_light_that_was_nearly_bright_enough_is_named_and_the_proposed_settings_find_it() -> None:
    faint = lit((2.0, 2.04), light=sky_light(1.9))
    trace = trace_frames("roof", frames(faint), SETTINGS)
    assert not trace.found
    assert trace.seconds[near_misses(trace, SETTINGS.prefilter)].tolist() == pytest.approx([2.0])
    changed = tomllib.loads("\n".join(proposed(trace, faint)))
    shipped = SETTINGS.prefilter
    assert all(0 < value < getattr(shipped, name) for name, value in changed["prefilter"].items())
    again = trace_frames("roof", frames(faint), load_settings([("tune", changed)]))
    assert [finding.start_seconds for finding in again.found] == [2.0]


def test_settings_that_do_not_find_the_moment_are_named_as_tried_and_not_proposed() -> None:
    faint = lit((2.0, 2.04), light=sky_light(1.9))
    trace = trace_frames("roof", frames(faint), SETTINGS)
    lines = proposals(trace, SETTINGS.prefilter, lambda _settings, _seconds: False)
    assert "lower thresholds alone do not find it" in lines[0]
    assert tomllib.loads("\n".join(lines)) == {}


def test_of_light_that_was_bright_enough_it_is_said_what_stopped_it_and_no_threshold_is_proposed() -> None:
    def moves(when: float, quiet: Picture) -> Picture:
        image, moved = quiet.copy(), 2 if when >= 2.0 - 1e-6 else 0
        for column in range(20, 90, 10):  # stripes in turn to the right and to the left, within their blocks
            image[20:60, [column + 1 + moved, column + 8 - moved]] += 89
        return lit((2.0, 2.08), light=patch(20, (20, 60), (20, 90)))(when, image)

    trace = trace_frames("roof", frames(moves, noise=0.3), SETTINGS)
    missed = near_misses(trace, SETTINGS.prefilter)
    assert not trace.found
    assert [trace.strength[n] >= 1 for n in missed] == [True]
    assert trace.refusals[missed[0]].endswith("got darker: something moves")
    assert proposed(trace, moves) == ["# the settings in use fit this recording"]


def test_a_place_of_rejected_lights_is_proposed_as_a_mask() -> None:
    lamp = np.zeros((180, 320), np.float32)
    lamp[150:175, 100:150] = 60
    flashing = lit((2.0, 2.3), (5.0, 5.2), light=lamp)
    trace = trace_frames("roof", frames(flashing, seconds=7), SETTINGS)
    assert {finding.verdict.state for finding in trace.found} == {"rejected"}
    printed = "\n".join(proposed(trace, flashing, 7))
    _, (camera,) = load_cameras([("tune", tomllib.loads('[[camera]]\nurl = "rtsp://roof/live"\n' + printed))])
    (corners,) = camera.mask
    left, top, right, bottom = *corners[0], *corners[2]
    assert 0.2 < left <= 100 / 320
    assert 150 / 320 <= right < 0.6
    assert top <= 150 / 180
    assert 175 / 180 <= bottom <= 1


def test_the_terminal_shows_where_something_was_found() -> None:
    bars, marks = terminal_curve(trace_frames("roof", frames(lit((2.0, 2.08))), SETTINGS), 40)
    assert bars[20] == "█"
    assert set(marks[19:22]) <= {"#", " "}
    assert marks[20] == "#"


def test_a_terminal_without_block_signs_gets_plain_ones() -> None:
    bars, _ = terminal_curve(trace_frames("roof", frames(lit((2.0, 2.08))), SETTINGS), 40, ascii_only=True)
    assert bars.isascii()
    assert bars[20] == "@"


def recorded(path: Path, change: Change, seconds: float) -> Path:
    """The made frames as a file, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for frame in frames(change, seconds=seconds):
            image = av.VideoFrame(320, 180, "yuv420p")
            for plane, value in zip(image.planes, (frame.luma, None, None), strict=True):
                whole = np.full((plane.height, plane.line_size), 128, np.uint8)
                if value is not None:
                    whole[:, :320] = value
                plane.update(whole.tobytes())
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    return path


def test_the_command_draws_a_image_and_names_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, png = recorded(tmp_path / "storm.mkv", lit((2.0, 2.08)), 3), tmp_path / "curve.png"
    assert cli.main(["tune", str(clip), "--png", str(png)]) == 0
    said = capsys.readouterr().out
    assert "2.000 to     2.080 s  confirmed" in said
    assert "thresholds used" in said
    with Image.open(png) as image:
        assert image.size == (1600, 700)
    assert "page: storm.tune.html" in said
    assert "<h1>storm</h1>" in (tmp_path / "storm.tune.html").read_text()


def test_the_command_says_why_a_light_was_rejected_and_on_demand_all_that_was_measured_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, png = recorded(tmp_path / "lamp.mkv", lit((2.0, 9.0)), 4), tmp_path / "curve.png"
    assert cli.main(["tune", str(clip), "--png", str(png)]) == 0
    said = capsys.readouterr().out
    assert ": the light stayed (fallen_share " in said
    assert "gain_likeness" not in said
    assert cli.main(["tune", str(clip), "--png", str(png), "--evidence"]) == 0
    assert "gain_likeness 0" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tune", "/nowhere/storm.mp4"]) == 1
    assert "/nowhere/storm.mp4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere/x.png", "No such file or directory; choose another place"),
        ("x.foo", "choose a name that ends in .png"),
    ],
)
def test_a_image_that_cannot_be_written_is_explained_and_costs_nothing_else(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = recorded(tmp_path / "storm.mkv", lit((1.0, 1.08)), 2)
    assert cli.main(["tune", str(clip), "--png", str(tmp_path / name)]) == 1
    out, err = capsys.readouterr()
    assert "1.000 to" in out
    assert "image:" not in out
    assert f"{tmp_path / name}: " in err
    assert said in err
    assert ("ends in .png" in err) == ("ends in .png" in said)


def test_output_in_a_code_that_lacks_signs_ends_no_command(tmp_path: Path) -> None:
    clip = recorded(tmp_path / "G\u00fctersloh.mkv", lit((2.0, 2.08)), 3)
    for words in (["tune", str(clip), "--png", str(tmp_path / "x.png")], ["replay", str(clip)]):
        done = subprocess.run(
            [sys.executable, "-m", "detector", *words],
            env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"confirmed" in done.stdout
