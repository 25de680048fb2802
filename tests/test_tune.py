"""What `tune` says of a recording."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from detector import cli
from detector.settings import load_settings
from detector.tune import near_misses, proposals, terminal_curve, trace
from scene_maker import Change, frames, lit, sky_light

SETTINGS = load_settings()


def test_a_flash_stands_above_the_threshold_and_quiet_video_below() -> None:
    curve = trace("roof", frames(lit((2.0, 2.08))), SETTINGS)
    assert len(curve.seconds) == 100
    bright = curve.strength >= 1
    assert curve.seconds[bright].tolist() == pytest.approx([2.0, 2.04])
    assert [finding.verdict.state for finding in curve.found] == ["confirmed"]
    assert proposals(curve, SETTINGS.prefilter) == ["# the settings in use fit this recording"]


def test_a_light_that_was_nearly_bright_enough_is_named_and_the_proposed_settings_find_it() -> None:
    faint = lit((2.0, 2.04), light=sky_light(1.9))
    curve = trace("roof", frames(faint), SETTINGS)
    assert not curve.found
    assert curve.seconds[near_misses(curve, SETTINGS.prefilter)].tolist() == pytest.approx([2.0])
    lines = proposals(curve, SETTINGS.prefilter)
    values = dict(line.split(" = ") for line in lines if not line.startswith("#"))
    changed = {key.removeprefix("prefilter."): float(value) for key, value in values.items()}
    again = trace("roof", frames(faint), load_settings([("tune", {"prefilter": changed})]))
    assert [finding.start_seconds for finding in again.found] == [2.0]


def test_a_place_of_rejected_lights_is_proposed_as_a_mask() -> None:
    lamp = np.zeros((180, 320), np.float32)
    lamp[150:175, 100:150] = 60
    curve = trace("roof", frames(lit((2.0, 2.3), (5.0, 5.2), light=lamp), seconds=7), SETTINGS)
    assert {finding.verdict.state for finding in curve.found} == {"rejected"}
    assert any(line.startswith("mask = [[[0.3") for line in proposals(curve, SETTINGS.prefilter))


def test_the_terminal_shows_where_something_was_found() -> None:
    bars, marks = terminal_curve(trace("roof", frames(lit((2.0, 2.08))), SETTINGS), 40)
    assert bars[20] == "█"
    assert set(marks[19:22]) <= {"#", " "}
    assert marks[20] == "#"


def recorded(path: Path, change: Change, seconds: float) -> Path:
    """The made pictures as a file, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for frame in frames(change, seconds=seconds):
            picture = av.VideoFrame(320, 180, "yuv420p")
            for plane, value in zip(picture.planes, (frame.luma, None, None), strict=True):
                whole = np.full((plane.height, plane.line_size), 128, np.uint8)
                if value is not None:
                    whole[:, :320] = value
                plane.update(whole.tobytes())
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def test_the_command_draws_a_picture_and_names_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, png = recorded(tmp_path / "storm.mkv", lit((2.0, 2.08)), 3), tmp_path / "curve.png"
    assert cli.main(["tune", str(clip), "--png", str(png)]) == 0
    said = capsys.readouterr().out
    assert "2.000 to     2.080 s  confirmed" in said
    assert "thresholds used" in said
    with Image.open(png) as picture:
        assert picture.size == (1600, 700)


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
