"""The Verifier protocol, and the verifier that answers nothing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from detector.candidate import Candidate
from detector.events import Verdict
from stream import redact

_log = logging.getLogger(__name__)


@runtime_checkable
class Verifier(Protocol):
    """A judge of closed candidates.

    A verifier that answers within some milliseconds may set `inline = True`: it is then asked in the camera's thread,
    one candidate at a time, with whole frames. Without it, it is asked in batches in a thread of its own, with
    candidates whose frames were downscaled to `batcher.picture_side_pixels`.

    Attributes:
        name: its name in verdicts.
    """

    name: str

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return one verdict for each of `candidates`, in order.

        A failure is a verdict without an answer (`lightning=None` and a reason), never "not lightning".

        Raises:
            MemoryError: the batch is too large; it is asked again in halves.
        """
        ...

    def close(self) -> None:
        """Free all resources, and end a `verify` in another thread; a second call does nothing."""
        ...


@runtime_checkable
class InlineVerifier(Protocol):
    """A slow verifier that decides the clear cases inline."""

    def verify_inline(self, candidate: Candidate) -> Verdict | None:
        """Return the verdict of a clear case, or None for one that `verify` must judge."""
        ...


@runtime_checkable
class ParallelVerifier(Protocol):
    """A slow verifier whose `verify` may be called from several threads at once.

    Attributes:
        workers: calls that are worked on at the same time.
        calls: calls that may be under way: those above `workers` are prepared meanwhile.
        largest_batch: candidates of a call while many wait; 0: as many as `batcher.batch_size`.
    """

    workers: int
    calls: int
    largest_batch: int


@runtime_checkable
class ImageVerifier(Protocol):
    """A verifier that shows a model images of candidates."""

    def sheet(self, candidate: Candidate) -> bytes:
        """Return a JPEG of what the model is shown of a candidate, for people to look at.

        Raises:
            VideoError, OutputError: it cannot be made.
        """
        ...


@runtime_checkable
class SecondOpinion(Protocol):
    """An InlineVerifier that is asked about the clear cases, too, after their verdicts are out.

    `verify` then returns the verdict that `verify_inline` gave with what it learnt since; it never takes that verdict
    back. One equal to it, or without an answer, is not published.

    Attributes:
        asks_always: whether it wants to be asked.
    """

    asks_always: bool

    def late(self, candidate: Candidate, reason: str) -> Verdict:
        """Return the verdict of a candidate that `verify` did not answer in time."""
        ...


class NullVerifier:
    """A verifier that leaves every candidate unverified: `--verifier none`."""

    name = "none"
    inline = True

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return a verdict without an answer for each of `candidates`."""
        return [unverified(self.name, "no verifier") for _ in candidates]

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How a verifier wants to be called; the attributes of ParallelVerifier."""

    workers: int = 1
    calls: int = 1
    largest_batch: int = 0


def parallelism(verifier: Verifier) -> Parallelism:
    """Return how `verifier` wants to be called: one call at a time unless it says otherwise."""
    if isinstance(verifier, ParallelVerifier):
        return Parallelism(verifier.workers, max(verifier.calls, verifier.workers), verifier.largest_batch)
    return Parallelism()


def unverified(verifier: str, reason: str) -> Verdict:
    """Return a verdict without an answer, with the reason why there is none."""
    return Verdict(lightning=None, probability=None, verifier=verifier, reason=reason)


def asks_always(verifier: Verifier) -> bool:
    """Return whether a verdict that `verifier` gave inline may still be added to by its `verify`."""
    return isinstance(verifier, SecondOpinion) and verifier.asks_always


def late_verdict(verifier: Verifier, candidate: Candidate, reason: str) -> Verdict:
    """Return the verdict of a candidate that `verifier` did not answer, with what it knows by then."""
    if isinstance(verifier, SecondOpinion):
        return verifier.late(candidate, reason)
    return unverified(verifier.name, reason)


def verify_inline(verifier: Verifier, candidate: Candidate) -> Verdict | None:
    """Return the verdict that `verifier` gives inline; None when it must be asked in a thread of its own."""
    try:
        if getattr(verifier, "inline", False):
            return verifier.verify([candidate])[0]
        if isinstance(verifier, InlineVerifier):
            return verifier.verify_inline(candidate)
    except Exception as error:  # noqa: BLE001 - any failure of a verifier is "no answer", never the end of a camera
        _log.error("%s failed: %s: %s", verifier.name, type(error).__name__, redact(error))
        return unverified(verifier.name, f"{type(error).__name__}: {redact(error)}")
    return None
