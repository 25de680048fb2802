"""The verifier `fused`: the light curve and a model are both asked; the event carries both opinions."""

import math
import threading
from collections.abc import Sequence
from dataclasses import astuple

import msgspec

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.events import Opinion, Verdict
from detector.settings import CascadeSettings, FusedSettings
from detector.verify.base import ImageVerifier, Verifier, parallelism
from detector.verify.photometric.confidence import SCALE
from detector.verify.probability import log_odds, logistic

_MAX_REMEMBERED = 4096  # candidates that never reach the model (dropped, stopped) are forgotten beyond this
MIN_PROBABILITY = 1e-4  # of the photometric verifier and of its contrary: log-odds stay within 9.2


class Fused:
    """Let `photometric` judge every candidate at once, and `model` every one in batches.

    Where photometry is sure (outside the thresholds of `cascade`) its verdict is given inline and stays: the model's
    opinion only joins it, and a contrary one marks it as disputed. Elsewhere the model is waited for. Then the log-odds
    of both are added with the weights of `settings` if these were fitted for this model, revision and prompt; if not,
    the model decides.
    """

    name = "fused"
    asks_always = True

    def __init__(
        self,
        photometric: Verifier,
        model: Verifier,
        settings: FusedSettings,
        cascade: CascadeSettings,
        *,
        calibrated: bool,
    ) -> None:
        self._photometric = photometric
        self._model = model
        self.workers, self.calls, self.largest_batch = astuple(parallelism(model))
        self._settings = settings
        self._cascade = cascade
        self._calibrated = calibrated
        # Verdicts of photometry: it saw the whole frames, `verify` gets them downscaled.
        self._first: dict[str, Verdict] = {}
        self._lock = threading.Lock()  # cameras ask in their own threads

    def verify_inline(self, candidate: Candidate) -> Verdict | None:
        """Return the photometric verdict if it is sure; None if the model must be waited for."""
        first = self._photometric.verify([candidate])[0]
        with self._lock:
            self._first[candidate.id] = first
            while len(self._first) > _MAX_REMEMBERED:
                del self._first[next(iter(self._first))]
        return self._sure_verdict(first) if self._is_sure(first) else None

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return the verdict of both for each, in order; a sure photometric one is only added to.

        Raises:
            MemoryError: the batch is too large for the model's device.
        """
        second = self._model.verify(candidates)
        first = [self._first_of(candidate, forget=True) for candidate in candidates]
        return [self._joined(light, model) for light, model in zip(first, second, strict=True)]

    def late(self, candidate: Candidate, reason: str) -> Verdict:
        """Return the verdict while the model has not answered: none, with the photometric opinion and evidence."""
        first = self._first_of(candidate)
        return Verdict(
            lightning=None,
            probability=None,
            verifier=self.name,
            evidence=_evidence(first),
            reason=reason,
            opinions=(opinion_of(first),),
        )

    def sheet(self, candidate: Candidate) -> bytes:
        """Return a JPEG of what the model is shown of a candidate.

        Raises:
            OutputError: its model is shown no images.
        """
        if not isinstance(self._model, ImageVerifier):
            raise OutputError(f"{self._model.name} is shown no images")
        return self._model.sheet(candidate)

    def close(self) -> None:
        """Close both."""
        self._photometric.close()
        self._model.close()

    def _first_of(self, candidate: Candidate, *, forget: bool = False) -> Verdict:
        with self._lock:
            first = self._first.pop(candidate.id, None) if forget else self._first.get(candidate.id)
        return self._photometric.verify([candidate])[0] if first is None else first

    def _is_sure(self, first: Verdict) -> bool:
        probability = first.probability
        if probability is None or first.lightning is None:
            return False
        # With damaged frames a candidate of high probability may be rejected, so nothing is sure then.
        return (
            probability > self._cascade.confirm_above if first.lightning else probability < self._cascade.reject_below
        )

    def _sure_verdict(self, first: Verdict) -> Verdict:
        return msgspec.structs.replace(first, verifier=self.name, opinions=(opinion_of(first),))

    def _joined(self, first: Verdict, second: Verdict) -> Verdict:
        opinions = (opinion_of(first), opinion_of(second))
        if self._is_sure(first):
            if second.lightning is None:
                return self._sure_verdict(first)
            disputed = second.lightning is not first.lightning
            return msgspec.structs.replace(first, verifier=self.name, opinions=opinions, disputed=disputed)
        joined = msgspec.structs.replace(
            second, verifier=self.name, evidence=_evidence(first) | second.evidence, opinions=opinions
        )
        if second.lightning is None or first.probability is None or not self._calibrated:
            return joined
        settings = self._settings
        together = (
            settings.photometric_weight * log_odds(first.probability, MIN_PROBABILITY)
            + settings.model_weight * second.evidence["log_odds"]
            + settings.bias
        )
        probability = logistic(together)
        return msgspec.structs.replace(joined, lightning=probability >= settings.threshold, probability=probability)


def fused_key(model_key: str) -> str:
    """Return what weights of both opinions hold for: the model's calibration key, and the photometric scale."""
    return f"{model_key} photometric {SCALE}"


def opinion_of(verdict: Verdict) -> Opinion:
    """Return a verdict as one of several opinions."""
    odds = verdict.evidence.get("log_odds")
    if odds is None and verdict.probability is not None:
        odds = log_odds(verdict.probability, MIN_PROBABILITY)
    return Opinion(
        verifier=verdict.verifier,
        lightning=verdict.lightning,
        probability=verdict.probability,
        log_odds=None if odds is None or not math.isfinite(odds) else round(odds, 6),
        model=verdict.model,
        model_revision=verdict.model_revision,
        prompt_version=verdict.prompt_version,
        seconds=verdict.seconds,
        reason=verdict.reason,
    )


def _evidence(first: Verdict) -> dict[str, float]:
    if first.probability is None:
        return first.evidence
    return first.evidence | {"photometric_probability": round(first.probability, 6)}
