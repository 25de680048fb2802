"""Cascade: clear cases are decided by the light curve at once, doubtful ones by the model."""

from collections.abc import Sequence

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import load_settings
from detector.verify.base import unverified
from detector.verify.batcher import Batcher
from detector.verify.cascade import Cascade
from helpers.candidates import candidate


class Certain:
    """Takes the candidate's name as its probability."""

    name = "photometric"
    inline = True

    def __init__(self) -> None:
        self.sides: list[int] = []

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        self.sides += [max(c.peak.luma.shape) for c in candidates]
        chances = [float(c.id) for c in candidates]
        return [
            Verdict(lightning=p >= 0.5, probability=p, verifier=self.name, evidence={"positivity": 0.9})
            for p in chances
        ]

    def close(self) -> None:
        pass


class Model:
    name = "minicpm"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = True

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        self.asked += [c.id for c in candidates]
        if not self.answers:
            return [unverified(self.name, "model lost") for _ in candidates]
        verdict = Verdict(lightning=True, probability=0.8, verifier=self.name, evidence={"log_odds": 1.4}, model="m")
        return [verdict] * len(candidates)

    def close(self) -> None:
        pass


def run(model: Model, *names: str) -> dict[str, Verdict]:
    answers: dict[str, Verdict] = {}
    settings = load_settings()
    with Batcher(Cascade(Certain(), model, settings.cascade), settings.batcher) as batcher:
        for name in names:
            batcher.ask(candidate(name), lambda judged, verdict: answers.update({judged.id: verdict}), wait=True)
        assert batcher.drain(20)
    return answers


def test_only_doubtful_candidates_reach_the_model() -> None:
    model = Model()
    answers = run(model, "0.02", "0.4", "0.97", "0.6")
    assert sorted(model.asked) == ["0.4", "0.6"]
    assert [answers[n].state for n in ("0.02", "0.4", "0.97", "0.6")] == [
        "rejected",
        "confirmed",
        "confirmed",
        "confirmed",
    ]


def test_the_light_curve_is_judged_once_and_on_the_whole_pictures() -> None:
    first, settings = Certain(), load_settings()
    with Batcher(Cascade(first, Model(), settings.cascade), settings.batcher) as batcher:
        for name in ("0.02", "0.4"):
            batcher.ask(candidate(name, size=(1080, 1920)), lambda _judged, _verdict: None, wait=True)
        assert batcher.drain(20)
    assert first.sides == [1920, 1920]


def test_a_verdict_carries_the_evidence_of_all_who_spoke() -> None:
    answers = run(Model(), "0.4", "0.97")
    assert answers["0.4"].evidence == {"positivity": 0.9, "log_odds": 1.4, "photometric_probability": 0.4}
    assert answers["0.4"].model == "m"
    assert answers["0.97"].model is None
    assert {verdict.verifier for verdict in answers.values()} == {"photometric+minicpm"}


def test_a_model_without_an_answer_leaves_the_doubtful_unverified_and_the_clear_decided() -> None:
    model = Model()
    model.answers = False
    answers = run(model, "0.02", "0.4")
    assert answers["0.02"].state == "rejected"
    assert answers["0.4"].state == "unverified"
    assert answers["0.4"].reason == "model lost"
    assert answers["0.4"].evidence["photometric_probability"] == 0.4
