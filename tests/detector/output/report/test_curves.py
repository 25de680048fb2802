"""The light curve of a run: every frame about flashes, extremes elsewhere, and never more than a stretch in memory."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from detector.output.report.curve_months import CurveMonths
from detector.output.report.curves import (
    AROUND_SECONDS,
    CURVES,
    FLASH_CURVES,
    STEP_SECONDS,
    CurveRecorder,
    read_curves,
    read_flash_curves,
    record_flash_curve,
)
from detector.output.report.recorded_prefilter import RecordedPrefilter
from helpers.candidates import candidate
from helpers.scenes import frames, lit, prefilter
from helpers.storms import START, made_frame

RATE = 25


def record(folder: Path, seconds: float, levels: dict[int, float], **how: object) -> None:
    """Record frames of level 20; `levels` are those of single frames, around which all is kept."""
    recorder = CurveRecorder(folder, "cam", "cam.mp4")
    for n in range(round(seconds * RATE)):
        level = levels.get(n, 20.0)
        recorder.add(made_frame(n / RATE, START), level, level - 20, keep=n in levels)
    recorder.close()


def test_every_frame_about_a_flash_is_kept_and_only_extremes_elsewhere(tmp_path: Path) -> None:
    record(tmp_path, 60, {500: 120.0})
    (piece,) = read_curves(tmp_path)
    at = 500 / RATE
    assert piece.fine_seconds[0] == pytest.approx(at - AROUND_SECONDS, abs=1 / RATE)
    assert piece.fine_seconds[-1] == pytest.approx(at + AROUND_SECONDS, abs=1 / RATE)
    assert np.diff(piece.fine_seconds) == pytest.approx(1 / RATE, abs=1e-5)
    assert piece.fine_luma.max() == pytest.approx(120)
    assert len(piece.high) == round(60 / STEP_SECONDS)
    step = int(at / STEP_SECONDS)
    assert (piece.low[step], piece.high[step], piece.rise[step]) == pytest.approx((20, 120, 100))


def test_a_flash_longer_than_what_is_kept_before_it_is_kept_whole(tmp_path: Path) -> None:
    record(tmp_path, 60, dict.fromkeys(range(500, 600), 120.0))
    (piece,) = read_curves(tmp_path)
    assert len(piece.fine_seconds) == pytest.approx(100 + 2 * AROUND_SECONDS * RATE, abs=2)


def test_a_curve_knows_its_recording_and_its_utc(tmp_path: Path) -> None:
    record(tmp_path, 4, {})
    (piece,) = read_curves(tmp_path)
    assert (piece.camera, piece.file, piece.clock, piece.utc_offset) == ("cam", "cam.mp4", "file", START)
    assert (piece.begin, piece.end) == pytest.approx((0, 4))


def test_a_time_in_which_no_frame_came_parts_the_curve(tmp_path: Path) -> None:
    recorder = CurveRecorder(tmp_path, "cam")
    for seconds in (0.0, 0.04, 0.08, 30.0, 30.04):
        recorder.add(made_frame(seconds), 20, 0)
    recorder.close()
    assert [(piece.begin, piece.end) for piece in read_curves(tmp_path)] == [
        (0.0, pytest.approx(0.12)),
        (30.0, pytest.approx(30.08)),
    ]


def test_two_hours_without_a_flash_take_less_than_400_kilobytes_and_are_written_in_parts(tmp_path: Path) -> None:
    recorder = CurveRecorder(tmp_path, "cam")
    for n in range(2 * 3600 * 10):
        recorder.add(made_frame(n / 10), 20 + n % 7, 0)
    written_before_the_end = (tmp_path / CURVES).stat().st_size
    recorder.close()
    assert written_before_the_end > 0
    assert (tmp_path / CURVES).stat().st_size < 400_000
    pieces = read_curves(tmp_path)
    assert sum(piece.end - piece.begin for piece in pieces) == pytest.approx(7200, abs=1)


def test_a_flash_at_the_border_of_two_parts_is_kept_whole(tmp_path: Path) -> None:
    recorder = CurveRecorder(tmp_path, "cam")
    lit = range(5995, 6010)  # about 600 s, where a part would end
    for n in range(6200):
        recorder.add(made_frame(n / 10), 100.0 if n in lit else 20.0, 0, keep=n in lit)
    recorder.close()
    fine = np.concatenate([piece.fine_luma for piece in read_curves(tmp_path)])
    assert int((fine > 90).sum()) == len(lit)


def test_half_a_line_of_a_killed_run_costs_only_itself(tmp_path: Path) -> None:
    record(tmp_path, 4, {})
    with (tmp_path / CURVES).open("ab") as file:
        file.write(b'{"camera":"cam","beg')
    assert len(read_curves(tmp_path)) == 1


def test_a_folder_that_cannot_be_written_costs_the_curve_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    recorder = CurveRecorder(tmp_path / "file", "cam")
    for n in range(20):
        recorder.add(made_frame(n * 3.0), 20, 0)  # a part each
    recorder.close()
    assert len([line for line in caplog.messages if "light curve" in line]) == 1


def test_the_curve_of_a_flash_is_found_by_its_id_and_says_when_its_clip_begins(tmp_path: Path) -> None:
    one = candidate()
    record_flash_curve(tmp_path, one, clip_start_seconds=one.start_seconds - 2.4)
    curve = read_flash_curves(tmp_path)[one.id]
    assert len(curve.seconds) == len(one.curve.seconds)
    assert curve.seconds == pytest.approx(one.curve.seconds - one.start_seconds, abs=2e-3)
    assert curve.rise == pytest.approx(one.curve.rise, abs=0.06)
    assert curve.clip_start == pytest.approx(-2.4)
    assert (tmp_path / FLASH_CURVES).read_bytes().count(b"\n") == 1


def test_what_the_prefilter_sees_is_recorded_and_what_it_finds_is_the_same(tmp_path: Path) -> None:
    recorded = RecordedPrefilter(prefilter(), tmp_path, "roof", "roof.mp4")
    found = [candidate for frame in frames(lit((5.0, 5.12)), seconds=9) for candidate in recorded.push(frame)]
    found += recorded.flush()
    alone = prefilter()
    expected = [candidate for frame in frames(lit((5.0, 5.12)), seconds=9) for candidate in alone.push(frame)]
    assert [one.open for one in found] == [one.open for one in expected] == [True, False]
    (piece,) = read_curves(tmp_path)
    assert piece.fine_seconds[piece.fine_luma.argmax()] + piece.begin == pytest.approx(5.0, abs=0.13)
    before, at = np.searchsorted(piece.fine_seconds, np.array([4.959, 4.999]) - piece.begin)
    assert piece.fine_seconds[before] + piece.begin == pytest.approx(4.96)  # so that the light does not seem to grow
    assert piece.fine_luma[at] > piece.fine_luma[before] + 20
    assert piece.fine_rise[at] == pytest.approx(found[1].peak_rise_levels, rel=0.1)
    assert list(read_flash_curves(tmp_path)) == [found[1].id]


def test_curves_of_months_are_read_in_order_and_the_oldest_go_beyond_their_size(tmp_path: Path) -> None:
    months = [datetime(2026, month, 27, tzinfo=UTC).timestamp() for month in (9, 10, 11)]

    def record(utc: float, limit: CurveMonths) -> None:
        recorder = CurveRecorder(tmp_path, "roof", months=limit)
        for n in range(6500):
            recorder.add(made_frame(n * 0.1, utc, rate=10), 20.0, 0.0)
        recorder.close()

    for utc in months[:2]:
        record(utc, CurveMonths())
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["curves-2026-09.jsonl", "curves-2026-10.jsonl"]
    begins = [piece.begin + (piece.utc_offset or 0.0) for piece in read_curves(tmp_path)]
    assert begins == sorted(begins)
    assert begins[0] == months[0]
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    (tmp_path / "flash-curves-2026-09.jsonl").write_text("{}\n")
    record(months[2], CurveMonths(limit_megabytes=size * 1.2 / 1e6))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["curves-2026-10.jsonl", "curves-2026-11.jsonl"]
    record(months[2], CurveMonths(limit_megabytes=1e-6))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["curves-2026-11.jsonl"]


def test_curves_go_with_the_days_that_evidence_is_kept_and_the_newest_month_stays(tmp_path: Path) -> None:
    for month in ("2026-08", "2026-09", "2026-10"):
        (tmp_path / f"curves-{month}.jsonl").write_text("{}\n")
    (tmp_path / "curves.jsonl").write_text("{}\n")
    CurveMonths(keep_days=30).trim(tmp_path, datetime(2026, 10, 15, tzinfo=UTC).timestamp())
    assert len(list(tmp_path.iterdir())) == 3
    CurveMonths(keep_days=1).trim(tmp_path, datetime(2027, 10, 15, tzinfo=UTC).timestamp())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves-2026-10.jsonl", "curves.jsonl"]
