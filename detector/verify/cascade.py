"""The verifier `photometric+minicpm`: the light curve decides clear cases, the model the doubtful ones."""

import threading
from collections.abc import Sequence
from dataclasses import astuple

import msgspec

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.events import Verdict
from detector.settings import CascadeSettings
from detector.verify.base import ImageVerifier, Verifier, parallelism

_MAX_REMEMBERED = 4096  # candidates that never reach the model (dropped, stopped) are forgotten beyond this


class Cascade:
    """Ask `first`, and `second` only if the first probability is between the two thresholds.

    A verdict of `second` keeps the evidence of `first`, and its probability as `photometric_probability`. If `second`
    has no answer, the verdict has none either, but still contains the evidence of `first`.
    """

    def __init__(self, first: Verifier, second: Verifier, settings: CascadeSettings) -> None:
        self.name = f"{first.name}+{second.name}"
        self._first = first
        self._second = second
        self.workers, self.calls, self.largest_batch = astuple(parallelism(second))
        self._settings = settings
        # Verdicts of `first` on doubtful ones: it saw the whole frames, `verify` gets them downscaled.
        self._doubtful: dict[str, Verdict] = {}
        self._lock = threading.Lock()  # cameras ask in their own threads

    def verify_inline(self, candidate: Candidate) -> Verdict | None:
        """Return the verdict of a clear case; None for a doubtful one, and if `first` has no answer."""
        verdict = self._first.verify([candidate])[0]
        probability = verdict.probability
        if probability is None or self._settings.reject_below <= probability <= self._settings.confirm_above:
            with self._lock:
                self._doubtful[candidate.id] = verdict
                while len(self._doubtful) > _MAX_REMEMBERED:
                    del self._doubtful[next(iter(self._doubtful))]
            return None
        return msgspec.structs.replace(verdict, verifier=self.name)

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return the second verdict for each, in order, with the evidence of both.

        Raises:
            MemoryError: the batch is too large for the model's device.
        """
        second = self._second.verify(candidates)
        first = [self._first_verdict(candidate) for candidate in candidates]
        return [self._joined(before, after) for before, after in zip(first, second, strict=True)]

    def sheet(self, candidate: Candidate) -> bytes:
        """Return a JPEG of what the model is shown of a candidate.

        Raises:
            OutputError: its model is shown no images.
        """
        if not isinstance(self._second, ImageVerifier):
            raise OutputError(f"{self._second.name} is shown no images")
        return self._second.sheet(candidate)

    def close(self) -> None:
        """Close both."""
        self._first.close()
        self._second.close()

    def _first_verdict(self, candidate: Candidate) -> Verdict:
        with self._lock:
            verdict = self._doubtful.pop(candidate.id, None)
        return self._first.verify([candidate])[0] if verdict is None else verdict

    def _joined(self, first: Verdict, second: Verdict) -> Verdict:
        evidence = first.evidence | second.evidence
        if first.probability is not None:
            evidence |= {f"{self._first.name}_probability": round(first.probability, 6)}
        return msgspec.structs.replace(second, verifier=self.name, evidence=evidence)
