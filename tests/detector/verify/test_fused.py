"""Fused: both opinions in the event, a sure photometric verdict never delayed and never taken back."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import msgspec
import pytest

from detector.candidate import Candidate
from detector.events import Flash, Verdict
from detector.pipeline import FlashRevisions
from detector.settings import BatcherSettings, CascadeSettings, FusedSettings
from detector.verify.base import unverified
from detector.verify.batcher import Batcher
from detector.verify.fused import Fused
from detector.verify.probability import logistic
from helpers.candidates import candidate


class Photometry:
    """Takes the candidate's name as its probability: `0.97-3` is 0.97."""

    name = "photometric"
    inline = True

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        chances = [float(c.id.partition("-")[0]) for c in candidates]
        return [
            Verdict(lightning=p >= 0.5, probability=p, verifier=self.name, evidence={"positivity": 0.9})
            for p in chances
        ]

    def close(self) -> None:
        pass


@dataclass
class Model:
    """Answers with one log-odds, once `free` is set."""

    log_odds: float | None = 2.0
    free: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    name: str = "minicpm"

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        self.asked += [c.id for c in candidates]
        assert self.free.wait(20)
        if self.log_odds is None:
            return [unverified(self.name, "model lost") for _ in candidates]
        verdict = Verdict(
            lightning=self.log_odds > 0,
            probability=logistic(self.log_odds),
            verifier=self.name,
            evidence={"log_odds": self.log_odds},
            model="m",
            model_revision="r",
        )
        return [verdict] * len(candidates)

    def close(self) -> None:
        self.free.set()


class Run:
    """A batcher around Fused, with the revisions that each candidate's flash gets."""

    def __init__(self, model: Model, *, calibrated: FusedSettings | None = None, **batcher: float) -> None:
        self.model = model
        self.flashes: list[Flash] = []
        self.published = threading.Condition()
        fused = Fused(
            Photometry(),
            model,
            calibrated or FusedSettings(),
            CascadeSettings(),
            calibrated=calibrated is not None,
        )
        settings = msgspec.structs.replace(BatcherSettings(batch_wait_ms=0.0, batch_size=1), **batcher)
        self.batcher = Batcher(fused, settings)

    def __enter__(self) -> Self:
        self.batcher.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.model.free.set()
        self.batcher.__exit__(None, None, None)

    def see(self, name: str, *, wait: bool = False) -> None:
        record = FlashRevisions(self._publish, None)
        one = candidate(name)
        record.detect(one)
        self.batcher.ask(one, record.judge, wait=wait)

    def revisions(self, name: str) -> list[Flash]:
        return [flash for flash in self.flashes if flash.id == name]

    def wait_for(self, count: int) -> None:
        with self.published:
            assert self.published.wait_for(lambda: len(self.flashes) >= count, 20), self.flashes

    def _publish(self, flash: Flash) -> None:
        with self.published:
            self.flashes.append(flash)
            self.published.notify_all()


def verdict_of(flash: Flash) -> Verdict:
    assert flash.verdict is not None
    return flash.verdict


@pytest.mark.parametrize(("name", "state"), [("0.97", "confirmed"), ("0.02", "rejected")])
def test_a_sure_photometric_verdict_does_not_wait_and_the_models_opinion_follows_alone(name: str, state: str) -> None:
    with Run(Model(2.0 if state == "confirmed" else -2.0)) as run:
        run.see(name)
        assert [flash.state for flash in run.flashes] == ["detected", state], "the model has not answered yet"
        assert [opinion.verifier for opinion in verdict_of(run.flashes[-1]).opinions] == ["photometric"]
        run.model.free.set()
        run.wait_for(3)
    last = run.flashes[-1]
    assert last.changed == ("verdict.opinions",)
    assert [opinion.verifier for opinion in verdict_of(last).opinions] == ["photometric", "minicpm"]
    assert verdict_of(last).opinions[1].model == "m"
    assert not verdict_of(last).disputed


@pytest.mark.parametrize(("name", "state", "log_odds"), [("0.97", "confirmed", -9.0), ("0.02", "rejected", 9.0)])
def test_a_contrary_opinion_marks_the_verdict_as_disputed_and_never_flips_it(
    name: str, state: str, log_odds: float
) -> None:
    with Run(Model(log_odds), calibrated=FusedSettings(model_weight=50.0)) as run:
        run.see(name)
        run.model.free.set()
        run.wait_for(3)
    published, last = run.flashes[-2:]
    assert (published.state, last.state) == (state, state)
    assert verdict_of(last).probability == verdict_of(published).probability
    assert last.changed == ("verdict.opinions", "verdict.disputed")
    assert verdict_of(last).disputed


def test_where_photometry_is_unsure_the_flash_waits_as_detected_and_the_model_decides() -> None:
    with Run(Model(-2.0)) as run:
        run.see("0.6")
        assert [flash.state for flash in run.flashes] == ["detected"]
        run.model.free.set()
        run.wait_for(2)
    last = run.flashes[-1]
    assert last.state == "rejected", "not calibrated: the model alone"
    assert verdict_of(last).probability == pytest.approx(logistic(-2.0))
    assert verdict_of(last).evidence["photometric_probability"] == 0.6
    assert [opinion.lightning for opinion in verdict_of(last).opinions] == [True, False]
    assert not verdict_of(last).disputed, "photometry was not sure"


def test_a_fitting_calibration_adds_the_log_odds_of_both() -> None:
    weights = FusedSettings(photometric_weight=2.0, model_weight=0.5, bias=0.3)
    with Run(Model(-2.0), calibrated=weights) as run:
        run.model.free.set()
        run.see("0.8")
        run.wait_for(2)
    verdict = verdict_of(run.flashes[-1])
    assert verdict.probability == pytest.approx(logistic(2.0 * 1.386294 + 0.5 * -2.0 + 0.3), abs=1e-5)
    assert verdict.lightning is True


def test_an_unsure_one_is_unverified_at_the_deadline_and_its_late_verdict_follows() -> None:
    with Run(Model(2.0), deadline_seconds=0.1) as run:
        run.see("0.4")
        run.wait_for(2)
        late = verdict_of(run.flashes[-1])
        assert run.flashes[-1].state == "unverified"
        assert "late" in (late.reason or "")
        assert late.evidence == {"positivity": 0.9, "photometric_probability": 0.4}
        assert [opinion.probability for opinion in late.opinions] == [0.4]
        run.model.free.set()
        run.wait_for(3)
    assert run.flashes[-1].state == "confirmed"
    assert "state" in run.flashes[-1].changed


def test_a_model_without_an_answer_adds_nothing_to_a_sure_verdict_and_leaves_the_others_unverified() -> None:
    with Run(Model(None)) as run:
        run.model.free.set()
        run.see("0.97", wait=True)
        run.see("0.6", wait=True)
        assert run.batcher.drain(20)
    assert [flash.state for flash in run.revisions("0.97")] == ["detected", "confirmed"]
    last = run.revisions("0.6")[-1]
    assert (last.state, verdict_of(last).reason) == ("unverified", "model lost")
    assert verdict_of(last).opinions[1].reason == "model lost"


def test_those_without_a_verdict_are_asked_about_before_opinions() -> None:
    model = Model()
    with Run(model) as run:
        for name in ("0.97-1", "0.97-2", "0.97-3", "0.5-4"):
            run.see(name)
        model.free.set()
        assert run.batcher.drain(20)
    assert model.asked.index("0.5-4") <= 1, "behind the one that was being asked"
    assert len(model.asked) == 4, "and everything is asked about"


def test_a_full_queue_gives_up_opinions_and_no_verdict() -> None:
    model = Model()
    with Run(model, waiting_limit=4) as run:
        for number in range(8):
            run.see(f"0.97-{number}")
        for number in range(3):
            run.see(f"0.5-{number}")
        model.free.set()
        assert run.batcher.drain(20)
    assert all(run.revisions(f"0.5-{number}")[-1].state == "confirmed" for number in range(3))
    assert {flash.state for flash in run.flashes if flash.id.startswith("0.97")} == {"detected", "confirmed"}
    assert run.batcher.counts.dropped == 0


def test_stopping_ends_without_a_word_about_opinions_that_did_not_come() -> None:
    with Run(Model()) as run:
        run.see("0.97")
        run.see("0.5")
        run.model.log_odds = None
    assert [flash.state for flash in run.revisions("0.97")] == ["detected", "confirmed"]
    assert run.revisions("0.5")[-1].state == "unverified"
