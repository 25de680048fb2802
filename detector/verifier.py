"""The Verifier protocol, and how one is chosen."""

import logging
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from detector.errors import VerifierError
from detector.flash import Candidate, Verdict
from detector.settings import Settings
from stream import redact

_log = logging.getLogger(__name__)


class Verifier(Protocol):
    """Says of closed candidates whether they are lightning.

    `verify` answers each candidate, in order; a failure is a verdict without an answer (`lightning=None` and a
    reason), never "not lightning". It may raise MemoryError to be asked again in halves. `close` frees what the
    verifier holds, ends a `verify` that is under way in another thread, and may be called twice.

    A verifier that answers within a millisecond says so with `at_once = True`; without it, it is asked in batches
    from a thread of its own, with candidates whose pictures were made small.
    """

    name: str

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """One verdict for each of `candidates`, in order."""
        ...

    def close(self) -> None:
        """Free what the verifier holds."""
        ...


@runtime_checkable
class AnswersSomeAtOnce(Protocol):
    """A slow verifier that knows the clear cases at once."""

    def verify_at_once(self, candidate: Candidate) -> Verdict | None:
        """The verdict of a clear case, or None for one that `verify` must judge."""
        ...


class NoVerifier:
    """Leaves every candidate unverified: `--verifier none`."""

    name = "none"
    at_once = True

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """No answer for each of `candidates`."""
        return [unverified(self.name, "no verifier") for _ in candidates]

    def close(self) -> None:
        """Nothing is held."""


def unverified(verifier: str, reason: str) -> Verdict:
    """A verdict without an answer, and why there is none."""
    return Verdict(lightning=None, probability=None, verifier=verifier, reason=reason)


def answer_at_once(verifier: Verifier, candidate: Candidate) -> Verdict | None:
    """The verdict of a verifier that has one at once; None when it must be asked in a thread of its own."""
    try:
        if getattr(verifier, "at_once", False):
            return verifier.verify([candidate])[0]
        if isinstance(verifier, AnswersSomeAtOnce):
            return verifier.verify_at_once(candidate)
    except Exception as error:  # noqa: BLE001 - any failure of a verifier is "no answer", never the end of a camera
        _log.error("%s failed: %s: %s", verifier.name, type(error).__name__, redact(error))
        return unverified(verifier.name, f"{type(error).__name__}: {redact(error)}")
    return None


def choose_verifier(settings: Settings) -> tuple[Verifier, str]:
    """The verifier that `settings` ask for, and a line that says which it is and why.

    Raises:
        VerifierError: the one asked for by name cannot work here; says what is missing and what to do.
    """
    match settings.verifier.kind:
        case "none":
            return NoVerifier(), "verifier: none, every candidate will be unverified (asked for)"
        case "photometric":
            return _photometric(settings), "verifier: photometric (asked for)"
        case "auto":
            return _photometric(settings), "verifier: photometric"
        case other:
            raise VerifierError(f"verifier {other}: not there yet; use --verifier photometric or none")


def _photometric(settings: Settings) -> Verifier:
    from detector.photometric import PhotometricVerifier  # noqa: PLC0415 - only when chosen

    return PhotometricVerifier(settings.photometric)
