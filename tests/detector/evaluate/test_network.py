"""How flashes are compared with strokes that a lightning location network located."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from detector.cli import main as cli
from detector.errors import LabelsError
from detector.evaluate.network import Place, Stroke, read_strokes, score_network
from detector.events import Flash
from helpers.flashes import event_lines, flash

VIENNA = Place(48.2, 16.37)
BEGAN = datetime(2026, 11, 22, 21, 0, tzinfo=UTC).timestamp()


def seen(name: str, second: float, *, seconds: float = 0.3, error_ms: float = 5.0) -> Flash:
    """Return a flash that began `second` seconds after BEGAN."""
    utc = datetime.fromtimestamp(BEGAN + second, UTC).isoformat()
    return msgspec.structs.replace(
        flash(name, second, second + seconds), start_utc=utc, clock="rtcp", utc_error_ms=error_ms
    )


def north_of_vienna(km: float, second: float) -> Stroke:
    return Stroke(BEGAN + second, Place(48.2 + km / 111.195, 16.37))


def test_the_distance_is_that_along_the_earth() -> None:
    assert Place(0, 0).distance_km(Place(0, 180)) == pytest.approx(20015.1, abs=0.1)
    assert VIENNA.distance_km(Place(48.2 + 1, 16.37)) == pytest.approx(111.195, abs=0.01)
    assert Place(10, 179.9).distance_km(Place(10, -179.9)) == pytest.approx(21.9, abs=0.1)


def test_strokes_count_at_the_time_of_a_flash_and_by_distance() -> None:
    flashes = [seen("a", 0), seen("b", 60), seen("c", 120)]
    strokes = [
        north_of_vienna(5, 0.02),  # a
        north_of_vienna(20, 0.15),  # a, too
        north_of_vienna(40, 30),  # nobody saw it
        north_of_vienna(60, 60),  # too far
        north_of_vienna(45, 120.29),  # c
    ]
    score = score_network(flashes, strokes, VIENNA, within_km=50, tolerance_seconds=0.1)
    assert score.rings == ((12.5, 1, 1), (25.0, 1, 1), (50.0, 2, 1))
    assert (score.flashes, score.located) == (3, 2)


@pytest.mark.parametrize(("error_ms", "located"), [(0.0, 0), (400.0, 1)])
def test_the_bound_of_a_flashs_time_widens_it(error_ms: float, located: int) -> None:
    flashes = [seen("a", 0, error_ms=error_ms)]
    late = north_of_vienna(5, 0.7)
    score = score_network(flashes, [late], VIENNA, within_km=50, tolerance_seconds=0.1, span=(BEGAN - 9, BEGAN + 9))
    assert score.located == located


def test_what_chance_alone_would_find_is_said() -> None:
    flashes = [seen("a", second, seconds=0.8, error_ms=0) for second in range(0, 1000, 100)]
    strokes = [north_of_vienna(5, 50 + second) for second in range(0, 900, 10)]
    score = score_network(flashes, strokes, VIENNA, within_km=50, tolerance_seconds=0.1)
    assert score.by_chance == pytest.approx(86 * 1.0 / 901, rel=0.01)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("time,lat,lon,alt", "2026-11-22T21:00:00.25Z,48.3,16.4,0"),
        ("# time;latitude;longitude", "1795381200250000000;48.3;16.4"),
        ("id\ttimestamp\tlng\tlat", "7\t1795381200250\t16.4\t48.3"),
        ("flash_id,flash_lat,flash_lon,flash_time_offset_of_first_event", "1,48.3,16.4,2026-11-22 21:00:00.250000000"),
    ],
)
def test_strokes_are_read_as_networks_write_them(tmp_path: Path, header: str, row: str) -> None:
    file = tmp_path / "strokes.csv"
    file.write_text(f"{header}\n{row}\n\n")
    (stroke,) = read_strokes(file)
    assert stroke.utc == pytest.approx(BEGAN + 0.25, abs=1e-5)
    assert (stroke.place.latitude, stroke.place.longitude) == (48.3, 16.4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("when,lat,lon\n1,2,3\n", "line 1: no column 'time'"),
        ("time,lat,lon\n2026-11-22,48\n", "line 2: no stroke with a time"),
        ("time,lat,lon\n2026-11-22,480,16\n", "480, 16 is no latitude and longitude"),
        ("time,lat,lon\nsoon,48,16\n", "line 2"),
        ("", "line 1: no column"),
    ],
)
def test_a_file_that_holds_no_strokes_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "strokes.csv"
    file.write_text(text)
    with pytest.raises(LabelsError, match=f"strokes.csv, .*{words}" if "480" in words else words):
        read_strokes(file)


def test_the_command_takes_the_place_from_the_run_or_from_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "flashes.jsonl").write_bytes(event_lines(seen("a", 0), seen("b", 60), flash("c", 90, 91)))
    strokes = tmp_path / "strokes.csv"
    strokes.write_text("time,lat,lon\n2026-11-22T21:00:00.1Z,48.3,16.4\n2026-11-22T21:00:30Z,48.3,16.4\n")
    (run / "run.json").write_text(json.dumps({"run": "r", "settings": {"site": {"latitude": None}}}))
    words = ["score", "--network", str(strokes), str(run)]

    assert cli.main(words) == 1
    assert "add --at LAT,LON" in capsys.readouterr().err

    (run / "run.json").write_text(
        json.dumps({"run": "r", "settings": {"site": {"latitude": 48.2, "longitude": 16.37}}})
    )
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    assert "1 of 2 flashes (50.0%) at the time of a stroke within 50 km" in told
    assert "Left out: 1 flash without UTC" in told

    assert cli.main([*words, "--at", "0,0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["strokes"] == 0
    assert cli.main([*words, "--at", "Vienna"]) == 1
    assert "--at Vienna: expected latitude and longitude" in capsys.readouterr().err
