"""The Verifier protocol, and how one is chosen."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from detector.candidate import Candidate
from detector.errors import VerifierError
from detector.events import Verdict
from detector.settings import Settings
from detector.verify.photometric.verifier import PhotometricVerifier
from detector.verify.vlm.local.attention import check_attention
from detector.verify.vlm.local.facts import EnvironmentReport, environment_report, may_have_gpu
from detector.verify.vlm.local.snapshot import find_snapshot
from detector.verify.vlm.local.verifier import MinicpmVerifier, check_installed, check_versions, find_or_fetch
from stream import redact

_log = logging.getLogger(__name__)

_UNSEEN_GPU = "no GPU that torch can see"


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


class NullVerifier:
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

    A model begins to load in the background; `close` the verifier in any case (a Batcher does).

    Raises:
        VerifierError: the one asked for by name cannot work here; says what is missing and what to do.
        SettingsError: the prompt file cannot be used.
    """
    match settings.verifier.kind:
        case "none":
            return NullVerifier(), "verifier: none, every candidate stays unverified (asked for)"
        case "photometric":
            return PhotometricVerifier(settings.photometric), "verifier: photometric (asked for)"
        case "minicpm":
            return _minicpm(settings, "asked for")
        case "photometric+minicpm":
            return _cascade(settings)
        case "served":
            return _served(settings)
        case "auto":
            return _auto(settings)


def why_no_gpu_model(
    settings: Settings, facts: EnvironmentReport | None = None, devices: Path = Path("/dev")
) -> str | None:
    """Why `auto` does not take minicpm, in some words; None when it does.

    Without a GPU nothing else is worth installing or fetching. Torch is asked only if the rest is there, and not at all
    where its `facts` are known.
    """
    if facts is None and not may_have_gpu(devices):
        return "no GPU"
    if facts is not None and facts.torch is not None and facts.torch_error is None and not facts.gpus:
        return _UNSEEN_GPU
    try:
        check_versions(settings.minicpm)
        find_snapshot(settings.minicpm)
        facts = facts or environment_report()
        check_attention(settings.minicpm.attention, facts)
    except VerifierError as error:
        return f"no model: {error}"
    if facts.torch_error is not None:
        return f"no model: torch does not work: {facts.torch_error}"
    return None if facts.gpus else _UNSEEN_GPU


def _auto(settings: Settings) -> tuple[Verifier, str]:
    why_not = why_no_gpu_model(settings)
    if why_not is None:
        return _minicpm(settings, "auto: torch, a GPU and the model are here")
    return PhotometricVerifier(settings.photometric), f"verifier: photometric (auto: {why_not})"


def _minicpm(settings: Settings, why: str) -> tuple[Verifier, str]:
    check_installed(settings.minicpm)
    snapshot = find_or_fetch(settings.minicpm)
    verifier = MinicpmVerifier(settings, snapshot)
    revision = "a folder of your own" if snapshot.revision is None else snapshot.revision
    return verifier, f"verifier: minicpm, {snapshot.model} at {revision} ({why}), {verifier.note}"


def _cascade(settings: Settings) -> tuple[Verifier, str]:
    from detector.verify.cascade import Cascade  # noqa: PLC0415 - it builds on this module

    model, line = _minicpm(settings, "asked for")
    cascade = settings.cascade
    between = f"photometric decides, except between {cascade.reject_below:g} and {cascade.confirm_above:g}"
    return Cascade(PhotometricVerifier(settings.photometric), model, cascade), f"{line}; {between}"


def _served(settings: Settings) -> tuple[Verifier, str]:
    from detector.verify.vlm.served import ServedVerifier  # noqa: PLC0415 - its HTTP client is slow to import

    verifier = ServedVerifier(settings)
    try:
        return verifier, f"verifier: {verifier.check()}"
    except VerifierError:
        verifier.close()
        raise
