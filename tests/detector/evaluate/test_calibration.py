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
from detector.evaluate.comparison import compare, quality
from detector.evaluate.labels import ClipLabels
from detector.events import Flash, Media, Opinion, Pulse, Verdict
from detector.settings import load_settings
from detector.verify.photometric.confidence import SCALE


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


def flash(
    name: str, start: float, log_odds: float | None, model: str = "a/model", *, clip: str = "storm", rise: float = 50.0
) -> Flash:
    evidence = {} if log_odds is None else {"log_odds": log_odds}
    return Flash(
        id=name,
        camera=clip,
        file=f"{clip}.mp4",
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
        peak_rise_levels=rise,
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
    assert [(one.log_odds, one.lightning, one.clip) for one in judged] == [
        (3.0, True, "storm.mp4"),
        (-2.0, False, "storm.mp4"),
    ]


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


def command(tmp_path: Path, flashes: list[Flash], *flags: str) -> int:
    """Run `calibrate` on flashes of two clips in which lightning begins at 1, 11, 21, ... seconds."""
    labels = {
        f"{clip}.mp4": {"kind": "positive", "flashes": [[10.0 * n + 1, 10.0 * n + 1.2] for n in range(8)]}
        for clip in ("storm", "night")
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "flashes.jsonl").write_text("\n".join(event(one) for one in flashes))
    return main(["calibrate", str(tmp_path / "labels.json"), str(tmp_path / "flashes.jsonl"), *flags])


def two_clips(odds_of_lightning: float, odds_of_others: float, *, rise_of_lightning: float = 50.0) -> list[Flash]:
    """Eight flashes of lightning and eight of something else in each of two clips."""
    made: list[Flash] = []
    for clip in ("storm", "night"):
        for n in range(8):
            at, jitter = 10.0 * n, n / 8
            hit = flash(f"{clip}-hit{n}", at + 1, odds_of_lightning + jitter, clip=clip, rise=rise_of_lightning + n)
            made += [hit, flash(f"{clip}-no{n}", at + 5, odds_of_others + 2 * jitter, clip=clip, rise=50.0 + n)]
    return made


def test_the_command_prints_settings_that_can_be_used_as_they_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, two_clips(2.0, -1.0)) == 0
    said = capfd.readouterr()
    settings = load_settings([("calibrate", tomllib.loads(said.out))])
    assert settings.question.temperature < 1.0
    assert 0.0 < settings.question.bias < 2.0
    assert settings.question.calibrated_for.startswith(f"a/model@{'a' * 40} prompt 2-")
    assert settings.fused.calibrated_for == "", "photometry was not asked"
    assert "16 flashes of lightning and 16 of something else" in said.err
    assert "the model" in said.err
    assert "brightness alone" in said.err
    assert "`replay --verifier fused` gives it" in said.err, "there is no photometric opinion to compare with"


def test_a_model_that_only_sees_brightness_is_refused_and_told_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On easy clips any number that grows with the light looks like knowledge: random weights reach an AUC of 0.87."""
    flashes = two_clips(1.0, 0.0, rise_of_lightning=200.0)
    assert command(tmp_path, flashes) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert "no better than brightness alone" in said.err
    assert command(tmp_path, flashes, "--anyway") == 0
    said = capfd.readouterr()
    assert "[question]" in said.out
    assert "Warning: the model" in said.err


def test_flashes_of_one_recording_are_no_trial(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, [one for one in two_clips(2.0, -1.0) if one.camera == "storm"]) == 1
    assert "all flashes are of one recording (storm.mp4)" in capfd.readouterr().err


def fused_flash(name: str, start: float, clip: str, odds: float, photometric: float) -> Flash:
    """A flash whose sure photometric verdict the model's opinion joined."""
    plain = flash(name, start, None, clip=clip)
    assert plain.verdict is not None
    light = Opinion(verifier="photometric", lightning=photometric > 0, probability=0.5, log_odds=photometric)
    model = Opinion(
        verifier="minicpm", lightning=odds > 0, probability=0.5, log_odds=odds, model="a/model",
        model_revision="a" * 40, prompt_version="1-abc",
    )  # fmt: skip
    verdict = msgspec.structs.replace(plain.verdict, model=None, verifier="fused", opinions=(light, model))
    return msgspec.structs.replace(plain, verdict=verdict)


def test_results_of_fused_give_the_weights_of_both_opinions(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dice = np.random.default_rng(1)
    flashes = []
    for clip in ("storm", "night"):
        for n in range(8):
            for start, sign in ((1.0, 1.0), (5.0, -1.0)):
                light, model = (sign + dice.normal(0, 1.0) for _ in range(2))
                flashes.append(fused_flash(f"{clip}{n}{start}", 10.0 * n + start, clip, model, light))
    assert command(tmp_path, flashes) == 0
    said = capfd.readouterr()
    fused = load_settings([("calibrate", tomllib.loads(said.out))]).fused
    assert min(fused.model_weight, fused.photometric_weight) > 0.3
    assert fused.calibrated_for.startswith("a/model@")
    assert fused.calibrated_for.endswith(f" photometric {SCALE}"), "they hold for this photometric probability only"
    assert "both added" in said.err


def test_the_auc_is_the_chance_that_lightning_stands_above_the_rest() -> None:
    truths = np.array([True, True, False, False])
    assert quality(np.array([0.9, 0.4, 0.4, 0.1]), truths).auc == pytest.approx(0.875)


def test_what_one_recording_teaches_wrongly_shows_on_the_others() -> None:
    """A number that only names the recording fits each and predicts none."""
    values = np.repeat([[1.0], [2.0], [3.0]], 20, axis=0)
    truths = np.repeat([True, False, True], 20)
    found = compare({"name": values}, truths, [f"clip{n // 20}" for n in range(60)])["name"]
    assert found.log_loss > 0.69
