"""Runs compared by who judged: each verifier's recall, false alarms and probabilities, opinions included."""

from pathlib import Path

import msgspec
import pytest

from detector.cli import main as cli
from detector.evaluate.by_verifier import JudgeScore, score_judges
from detector.evaluate.labels import ClipLabels
from detector.events import Flash, Opinion, State, Verdict
from helpers.flashes import event_lines, flash

LABELS = {"a.mp4": ClipLabels(kind="positive", flashes=((1.0, 1.2), (3.0, 3.2), (5.0, 5.2)), seconds=3600.0)}
MODEL = {"model": "openbmb/MiniCPM-V-4.6", "model_revision": "1740887" + "0" * 33, "prompt_version": "2-ab"}
MODEL_LABEL = "minicpm in fused openbmb/MiniCPM-V-4.6@1740887 prompt 2-ab"
STATE: dict[bool | None, State] = {True: "confirmed", False: "rejected", None: "unverified"}


def photometric(start: float, probability: float) -> Flash:
    verdict = Verdict(lightning=probability >= 0.5, probability=probability, verifier="photometric")
    shown = flash(f"p{start}", start, start + 0.2, state=STATE[verdict.lightning])
    return msgspec.structs.replace(shown, verdict=verdict)


def fused(start: float, light: float, model: float | None, decided: bool | None) -> Flash:
    """A flash that photometry gives `light` and the model `model`, or no answer, and both together `decided`."""
    opinions = (
        Opinion(verifier="photometric", lightning=light >= 0.5, probability=light),
        Opinion(verifier="minicpm", lightning=None, probability=None, reason="late", **MODEL)
        if model is None
        else Opinion(verifier="minicpm", lightning=model >= 0.5, probability=model, seconds=0.25, **MODEL),
    )
    verdict = Verdict(lightning=decided, probability=light, verifier="fused", opinions=opinions, **MODEL)
    shown = flash(f"f{start}", start, start + 0.2, state=STATE[decided])
    return msgspec.structs.replace(shown, verdict=verdict)


FUSED = (
    fused(1.0, 0.9, 0.8, True),
    fused(3.0, 0.4, 0.7, True),
    fused(5.0, 0.8, None, True),
    fused(7.0, 0.3, 0.9, False),
    fused(9.0, 0.1, 0.2, False),
)


def scores_of(*flashes: Flash) -> dict[str, JudgeScore]:
    scores = score_judges(LABELS, {"run": flashes}, states=("confirmed",), collar_seconds=0.1)
    return {score.judge.label: score for score in scores}


def test_each_opinion_is_scored_as_if_it_had_decided_alone() -> None:
    scores = scores_of(*FUSED)
    model = MODEL_LABEL
    assert set(scores) == {"fused", "photometric in fused", model}
    assert (scores["fused"].score.found, scores["fused"].score.false_alarms) == (3, 0)
    assert (scores["photometric in fused"].score.found, scores["photometric in fused"].score.false_alarms) == (2, 0)
    assert (scores[model].score.found, scores[model].score.false_alarms) == (2, 1)
    assert (scores[model].answered, scores[model].asked) == (4, 5)
    assert scores[model].seconds == 0.25
    assert scores["photometric in fused"].found == {("a.mp4", (1.0, 1.2)), ("a.mp4", (5.0, 5.2))}


def test_probabilities_are_measured_on_the_flashes_that_have_one_and_a_label() -> None:
    scores = scores_of(*FUSED)
    quality = scores["photometric in fused"].quality
    assert quality is not None
    assert quality.auc == 1.0
    assert quality.brier == pytest.approx((0.1**2 + 0.6**2 + 0.2**2 + 0.3**2 + 0.1**2) / 5)
    assert scores_of(photometric(1.0, 0.9))["photometric"].quality is None, "one kind of flash tells nothing"


def test_a_flash_without_an_answer_is_unverified_and_counts_only_where_that_is_asked_for() -> None:
    late = fused(1.0, 0.9, None, True)
    for states, found in ((("confirmed",), 0), (("confirmed", "unverified"), 1)):
        scores = score_judges(LABELS, {"run": [late]}, states=states, collar_seconds=0.1)
        assert {score.judge.label: score.score.found for score in scores}[MODEL_LABEL] == found


def test_the_command_compares_two_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, one, other = (tmp_path / name for name in ("labels.json", "light.jsonl", "both.jsonl"))
    labels.write_bytes(msgspec.json.encode(LABELS))
    one.write_bytes(event_lines(photometric(1.0, 0.9), photometric(3.0, 0.4), photometric(9.0, 0.7)))
    other.write_bytes(event_lines(*FUSED))
    command = ["score", str(labels), str(one), str(other), "--by", "verifier", "--states", "confirmed"]
    assert cli.main(command) == 0
    told = capsys.readouterr().out
    assert "photometric in fused" in told
    assert f"fused ({other}) found 2 that photometric missed, and missed 0 that it found." in told
    assert cli.main([*command, "--json"]) == 0
    rows = msgspec.json.decode(capsys.readouterr().out)
    assert [row["run"] for row in rows] == [str(one)] + [str(other)] * 3
    assert (rows[0]["verifier"], rows[0]["within"], rows[0]["found"], rows[0]["false_alarms"]) == (
        "photometric", None, 1, 1,
    )  # fmt: skip
    assert rows[0]["brier"] == pytest.approx((0.1**2 + 0.6**2 + 0.7**2) / 3)
    assert cli.main(["score", str(labels), str(one), str(other)]) == 1
    assert "--by verifier compares several" in capsys.readouterr().err
