"""How reports are compared with labels."""

import time
from pathlib import Path

import msgspec
import pytest

from detector.cli import main as cli
from detector.evaluate.labels import ClipLabels
from detector.evaluate.results import Detection
from detector.evaluate.score import match, score_clip, total
from helpers.flashes import event_lines, flash

SCORE_KEYS = (
    "labelled", "found", "false_alarms", "split", "ignored", "labelled_pulses", "found_pulses", "onset_errors",
    "missed", "false_spans", "covered_seconds", "seconds", "recall", "precision", "f1", "pulse_recall",
    "false_alarms_per_hour", "onset_error_median", "onset_error_95", "covered_share",
)  # fmt: skip
"""What `score --json` prints of a clip; scripts rely on it."""


def detected(*intervals: tuple[float, float]) -> list[Detection]:
    return [Detection(interval, pulses=(interval,)) for interval in intervals]


@pytest.mark.parametrize(
    ("labels", "reports", "pairs"),
    [
        pytest.param([(1, 2)], [(1, 2)], [(0, 0)], id="the same interval"),
        pytest.param([(1, 2)], [(2.05, 2.1)], [(0, 0)], id="just after it, within the collar"),
        pytest.param([(1, 2)], [(2.2, 2.3)], [], id="too late"),
        pytest.param([(1, 2), (3, 4)], [(1, 4)], [(0, 0)], id="one report never counts for two labels"),
        pytest.param([(1, 4)], [(1, 2), (3, 4)], [(0, 0)], id="the report with the nearer onset is taken"),
        pytest.param([(3, 6)], [(1, 4), (3.1, 6)], [(0, 1)], id="also where it is the later one"),
        pytest.param([(1, 3.4), (3.5, 6)], [(1, 6), (3.4, 5)], [(0, 0), (1, 1)], id="pairs do not cross"),
        pytest.param([(1, 4), (3, 6)], [(3.02, 3.5)], [(1, 0)], id="the label with the nearer onset is taken"),
        pytest.param([(1, 4), (3, 6)], [(1.02, 3.5)], [(0, 0)], id="also where it is the sooner one"),
        pytest.param([(1, 2), (2.1, 3)], [(0.95, 2.5), (2.6, 3)], [(0, 0), (1, 1)], id="as many pairs as possible"),
        pytest.param([], [(1, 2)], [], id="no labels"),
    ],
)
def test_matching(
    labels: list[tuple[float, float]], reports: list[tuple[float, float]], pairs: list[tuple[int, int]]
) -> None:
    assert match(labels, reports, 0.1) == pairs


def test_a_clip_counts_hits_misses_false_alarms_and_onset_errors() -> None:
    labels = ClipLabels(kind="positive", flashes=((1, 2), (5, 6)), pulses=((1, 1.2), (1.6, 2), (5, 6)))
    score = score_clip(labels, detected((1.04, 2.0), (8, 9)), seconds=3600.0)
    assert (score.labelled, score.found, score.false_alarms) == (2, 1, 1)
    assert score.recall == 0.5
    assert score.false_alarms_per_hour == 1.0
    assert score.onset_errors == (0.04,)
    assert score.missed == ((5, 6),)
    assert score.false_intervals == ((8, 9),)
    assert score.found_pulses == 1  # one pulse was reported where there were two
    assert score.covered_seconds == pytest.approx(1.96)


def test_uncertain_places_are_neither_hit_nor_false_alarm_and_a_second_report_on_a_flash_is_a_duplicate() -> None:
    labels = ClipLabels(kind="positive", flashes=((1, 3),), ignore=((5, 6),))
    score = score_clip(labels, detected((1, 1.5), (2, 2.5), (5.2, 5.4)))
    assert (score.found, score.duplicates, score.ignored, score.false_alarms) == (1, 1, 1, 0)


def test_a_storm_that_is_chopped_into_pieces_or_merged_into_one_scores_worse_than_one_that_is_counted() -> None:
    labels = ClipLabels(kind="positive", flashes=((1, 2), (3, 4), (5, 6)))
    counted = score_clip(labels, detected((1, 2), (3, 4), (5, 6)))
    chopped = score_clip(labels, detected((1, 1.4), (1.5, 2), (3, 3.4), (3.5, 4), (5, 5.4), (5.5, 6)))
    merged = score_clip(labels, detected((1, 6)))
    assert (counted.f1, chopped.recall, merged.precision) == (1.0, 1.0, 1.0)
    assert chopped.precision == 0.5
    assert chopped.f1 == pytest.approx(2 / 3)
    assert merged.f1 == pytest.approx(0.5)


def test_a_false_alarm_is_a_wrong_report_and_one_in_an_uncertain_place_is_none() -> None:
    labels = ClipLabels(kind="positive", flashes=((1, 2),), ignore=((5, 6),))
    assert score_clip(labels, detected((1, 2), (5.2, 5.4), (8, 9))).f1 == pytest.approx(2 / 3)
    assert score_clip(labels, detected((5.2, 5.4))).f1 == 0.0
    nothing = score_clip(ClipLabels(kind="negative"), [])
    assert (nothing.precision, nothing.f1) == (None, None)


def test_a_total_adds_up_and_knows_no_rate_without_all_lengths() -> None:
    one = score_clip(ClipLabels(kind="positive", flashes=((1, 2),)), detected((1, 2), (5, 6)), seconds=1800)
    other = score_clip(ClipLabels(kind="negative"), detected((1, 2)), seconds=1800)
    both = total([one, other])
    assert (both.labelled, both.found, both.false_alarms, both.false_alarms_per_hour) == (1, 1, 2, 2.0)
    assert total([one, score_clip(ClipLabels(kind="negative"), [])]).false_alarms_per_hour is None


def test_the_median_and_the_95th_percentile_are_errors_that_happened() -> None:
    labels = ClipLabels(kind="positive", flashes=tuple((float(n), n + 0.5) for n in range(20)))
    errors = [0.0] * 10 + [0.04] * 9 + [0.08]
    score = score_clip(labels, detected(*((n + error, n + 0.5) for n, error in enumerate(errors))))
    assert score.onset_error_median == 0.0
    assert score.onset_error_95 == 0.04


def test_the_thousands_of_pulses_of_a_night_are_matched_in_no_time() -> None:
    pulses = [(10.0 * n, 10.0 * n + 0.1) for n in range(4000)]
    began = time.process_time()
    assert match(pulses, pulses, 0.02) == [(n, n) for n in range(4000)]
    assert time.process_time() - began < 3


def test_the_command_prints_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, results = tmp_path / "labels.json", tmp_path / "out.jsonl"
    labels.write_text(
        '{"a.mp4": {"kind": "positive", "flashes": [[1, 2]], "pulses": [[1, 2]], "ignore": [], "seconds": 60}}'
    )
    results.write_bytes(event_lines(flash("x", 1, 2), flash("y", 5, 6)))
    assert cli.main(["score", str(labels), str(results)]) == 0
    table = capsys.readouterr().out
    assert "a.mp4" in table
    assert "100.0%" in table
    assert "false: a.mp4 5.000 to 6.000 s" in table
    assert cli.main(["score", str(labels), str(results), "--json", "--states", "confirmed"]) == 0
    said = msgspec.json.decode(capsys.readouterr().out)
    assert said["totals"]["total"]["recall"] == 1.0
    assert said["totals"]["total"]["false_alarms_per_hour"] == 60.0
    assert list(said) == ["tolerance_seconds", "states", "clips", "totals"]
    assert tuple(said["clips"]["a.mp4"]) == SCORE_KEYS


def test_results_of_clips_without_labels_are_named_and_not_just_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, results = tmp_path / "labels.json", tmp_path / "out.jsonl"
    labels.write_text('{"b.mp4": {"kind": "positive", "flashes": [[1, 2]]}, "c.mp4": {"kind": "negative"}}')
    results.write_bytes(event_lines(flash("x", 1, 2), flash("y", 5, 6)))
    assert cli.main(["score", str(labels), str(results)]) == 0
    assert "none of the 2 flashes are of labelled clips; not counted: those of a.mp4" in capsys.readouterr().err
    labels.write_text('{"a.mp4": {"kind": "positive", "flashes": [[1, 2]]}}')
    assert cli.main(["score", str(labels), str(results)]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_of_footage_that_is_not_there_is_refused_and_one_without_the_clips_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, results = tmp_path / "labels.json", tmp_path / "out.jsonl"
    labels.write_text('{"a.mp4": {"kind": "positive", "flashes": [[1, 2]]}}')
    results.write_bytes(event_lines(flash("x", 1, 2)))
    assert cli.main(["score", str(labels), str(results), "--footage", str(tmp_path / "nowhere")]) == 1
    assert f"--footage {tmp_path / 'nowhere'}: no such folder" in capsys.readouterr().err
    assert cli.main(["score", str(labels), str(results), "--footage", str(tmp_path)]) == 0
    assert f"unknown: they are not in {tmp_path}." in capsys.readouterr().out


def test_an_unknown_state_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["score", str(tmp_path / "l"), str(tmp_path / "r"), "--states", "sure"]) == 1
    assert "'sure'" in capsys.readouterr().err
