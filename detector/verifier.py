"""The Verifier protocol, and how one is chosen."""

from collections.abc import Sequence
from typing import Protocol

from detector.flash import Candidate, Verdict


class Verifier(Protocol):
    """Says of closed candidates whether they are lightning.

    `verify` answers each candidate, in order; a failure is a verdict without an answer (`lightning=None` and a
    reason), never "not lightning". `close` frees what the verifier holds; it may be called twice.
    """

    name: str

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """One verdict for each of `candidates`, in order."""
        ...

    def close(self) -> None:
        """Free what the verifier holds."""
        ...


class NoVerifier:
    """Leaves every candidate unverified: `--verifier none`."""

    name = "none"

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """No answer for each of `candidates`."""
        return [Verdict(lightning=None, probability=None, verifier=self.name, reason="no verifier") for _ in candidates]

    def close(self) -> None:
        """Nothing is held."""
