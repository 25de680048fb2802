"""Calibration: a model's log-odds become probabilities that mean what they say."""

import json
import tomllib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detector.cli.main import main
from detector.errors import LabelsError
from detector.evaluate.calibration import AnswerSource, JudgedFlash, fit, judged_flashes
from detector.evaluate.labels import ClipLabels
from detector.events import Flash, Media, Pulse, Verdict
from detector.settings import load_settings


def drawn(temperature: float, bias: float, count: int = 4000) -> list[JudgedFlash]:
    """Flashes whose lightning is drawn with exactly the probability that a temperature and bias say."""
    dice = np.random.default_rng(3)
    odds = dice.normal(1.0, 4.0, count)
    truths = dice.random(count) < 1 / (1 + np.exp(-(odds - bias) / temperature))
    return [JudgedFlash(float(value), bool(truth)) for value, truth in zip(odds, truths, strict=True)]


@pytest.mark.parametrize(("temperature", "bias"), [(1.0, 0.0), (3.0, 2.0), (0.5, -1.5)])
def test_the_temperature_and_bias_that_made_the_answers_are_found_again(temperature: float, bias: float) -> None:
    found = fit(drawn(temperature, bias))
    assert found.temperature == pytest.approx(temperature, rel=0.1)
    assert found.bias == pytest.approx(bias, abs=0.25)
    assert found.after.calibration_error < 0.03
    assert found.after.log_loss <= found.before.log_loss + 1e-3


def test_an_overconfident_model_becomes_honest() -> None:
    found = fit(drawn(4.0, 0.0))
    assert found.before.calibration_error > 0.1
    assert found.after.calibration_error < found.before.calibration_error / 3


def test_kinds_that_do_not_overlap_still_give_a_finite_fit() -> None:
    found = fit(
        [JudgedFlash(2.0 + n / 10, True) for n in range(10)] + [JudgedFlash(-2.0 - n / 10, False) for n in range(10)]
    )
    assert 0.05 < found.temperature < 5
    assert abs(found.bias) < 1


def test_a_model_that_cannot_tell_them_apart_is_refused() -> None:
    backwards = [JudgedFlash(-value.log_odds, value.lightning) for value in drawn(1.0, 0.0)]
    with pytest.raises(LabelsError, match="cannot tell them"):
        fit(backwards)


def test_too_few_flashes_are_refused_with_their_numbers() -> None:
    with pytest.raises(LabelsError, match="7 flashes of lightning and 2 of something else"):
        fit([JudgedFlash(1.0, True)] * 7 + [JudgedFlash(-1.0, False)] * 2)


LABELS = {"storm.mp4": ClipLabels(kind="positive", flashes=((1.0, 1.2),), ignore=((8.0, 9.0),), seconds=10.0)}


def flash(name: str, start: float, log_odds: float | None, model: str = "a/model") -> Flash:
    evidence = {} if log_odds is None else {"log_odds": log_odds}
    return Flash(
        id=name,
        camera="storm",
        file="storm.mp4",
        state="confirmed",
        revision=2,
        start_seconds=start,
        peak_seconds=start,
        end_seconds=start + 0.1,
        duration_seconds=0.1,
        start_utc=None,
        clock="file",
        utc_error_ms=None,
        quality=(),
        pulses=(Pulse(offset_seconds=0.0, duration_seconds=0.1, rise_levels=50.0),),
        peak_rise_levels=50.0,
        lit_fraction=0.2,
        box=(0.0, 0.0, 1.0, 1.0),
        centroid=(0.5, 0.5),
        verdict=Verdict(
            lightning=True,
            probability=0.9,
            verifier="minicpm",
            evidence=evidence,
            model=model,
            model_revision="a" * 40,
            prompt_version="1-abc",
        ),
        media=Media(),
        latency_ms=1.0,
        software="test",
    )


def test_a_flash_counts_as_its_label_says_and_the_undecided_are_left_out() -> None:
    flashes = [
        flash("hit", 1.05, 3.0),
        flash("false", 5.0, -2.0),
        flash("ignored", 8.2, 1.0),
        flash("photometric", 5.5, None),
    ]
    source, judged = judged_flashes(LABELS, flashes)
    assert source == AnswerSource("minicpm", "a/model", "a" * 40, "1-abc")
    assert judged == [JudgedFlash(3.0, lightning=True), JudgedFlash(-2.0, lightning=False)]


def test_results_of_two_models_are_not_mixed() -> None:
    with pytest.raises(LabelsError, match="mix 2 models"):
        judged_flashes(LABELS, [flash("a", 1.0, 1.0), flash("b", 5.0, 1.0, model="other/model")])


def test_results_without_a_model_say_how_to_get_some() -> None:
    with pytest.raises(LabelsError, match="replay --verifier minicpm"):
        judged_flashes(LABELS, [flash("a", 1.0, None)])


def event(content: Flash) -> str:
    """The flash as a line of a run's results."""
    envelope = dict.fromkeys(("id", "source", "type", "subject", "time", "dataschema", "feed", "run"), "x")
    return json.dumps(envelope | {"specversion": "1.0", "sequence": "1", "data": msgspec.to_builtins(content)})


def test_the_command_prints_settings_that_can_be_used_as_they_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hits = [flash(f"hit{n}", 10.0 * n + 1.0, 2.0 + n / 8) for n in range(8)]
    others = [flash(f"no{n}", 10.0 * n + 5.0, -1.0 + n / 4) for n in range(8)]
    labels = {"storm.mp4": {"kind": "positive", "flashes": [[10.0 * n + 1, 10.0 * n + 1.2] for n in range(8)]}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "flashes.jsonl").write_text("\n".join(event(one) for one in hits + others))
    assert main(["calibrate", str(tmp_path / "labels.json"), str(tmp_path / "flashes.jsonl")]) == 0
    said = capfd.readouterr()
    settings = load_settings([("calibrate", tomllib.loads(said.out))])
    assert settings.question.temperature < 1.0
    assert 0.0 < settings.question.bias < 2.0
    assert settings.question.calibrated_for.startswith(f"a/model@{'a' * 40} prompt 1-")
    assert "8 flashes of lightning and 8 of something else" in said.err
