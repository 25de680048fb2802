"""Fetch snapshots from the model hub, and follow a branch: the only module of the model that goes online."""

from pathlib import Path

from detector.errors import VerifierError
from detector.settings import MinicpmSettings
from detector.verify.vlm.local.environment_report import installed
from detector.verify.vlm.local.snapshot import (
    Snapshot,
    find_snapshot,
    hub_cache,
    is_folder,
    missing_parts,
    pinned_revision,
)
from stream import redact

_EDGE_BRANCH = "main"


def find_or_fetch(settings: MinicpmSettings, *, own_code: bool = False) -> Snapshot:
    """Return the snapshot that the settings ask for; on the channel edge the newest, fetched if need be.

    Args:
        settings: model, revision and channel.
        own_code: any type of model will do, since `serve-45` runs it by its own code.

    Returns:
        the snapshot.

    Raises:
        VerifierError: it is not here, or cannot be fetched.
    """
    if settings.channel != "edge" or is_folder(settings.model):
        return find_snapshot(settings, own_code=own_code)
    if settings.revision:
        raise VerifierError(
            f"the channel edge follows the newest commit, so revision {settings.revision!r} cannot apply: they exclude "
            "each other; leave one of the two out"
        )
    return fetch(settings.model, newest_revision(settings.model))


def revision_to_fetch(settings: MinicpmSettings) -> str:
    """Return the commit that the settings ask for; on the channel edge, the newest of the branch main.

    Raises:
        VerifierError: no commit is pinned, or the hub does not answer.
    """
    return newest_revision(settings.model) if settings.channel == "edge" else pinned_revision(settings)


def newest_revision(model: str) -> str:
    """Return the 40-digit commit that the branch main of `model` points to now.

    Raises:
        VerifierError: the hub does not answer, or does not have it.
    """
    _require_client()
    from huggingface_hub import HfApi  # noqa: PLC0415 - part of the extra, and slow to import

    try:
        found = HfApi().model_info(model, revision=_EDGE_BRANCH, timeout=30).sha
    except Exception as error:
        raise VerifierError(_advice(model, _EDGE_BRANCH, error)) from error
    if not found:
        raise VerifierError(f"{model}: the hub names no commit for the branch {_EDGE_BRANCH}; pin one yourself")
    return found


def fetch(model: str, revision: str) -> Snapshot:
    """Download the missing parts of `model` at `revision`, with a progress bar on stderr.

    Returns:
        the complete snapshot.

    Raises:
        VerifierError: the snapshot cannot be fetched, or is incomplete.
    """
    _require_client()
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        folder = Path(snapshot_download(model, revision=revision, cache_dir=hub_cache()))
    except Exception as error:
        raise VerifierError(_advice(model, revision, error)) from error
    problems = list(missing_parts(folder))
    if problems:
        raise VerifierError(f"{model} at {revision}: fetched, but {'; '.join(problems)}; is it a native MiniCPM-V?")
    return Snapshot(model, revision, folder)


def _require_client() -> None:
    if installed("huggingface_hub") is None:
        raise VerifierError(
            "the hub's client is not installed, and only it can fetch: pip install 'lightning-detector[minicpm]'"
        )


def _advice(model: str, revision: str, error: Exception) -> str:
    """Return in one line why the fetch failed, and what to try; the client's own messages have many lines."""
    name = type(error).__name__
    if type(error.__cause__).__name__ == "OfflineModeIsEnabled":
        name = "OfflineModeIsEnabled"
    match name:
        case "OfflineModeIsEnabled":
            what = "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it to fetch"
        case "RepositoryNotFoundError":
            what = "the hub has no such model, or it is private; check the id, and set HF_TOKEN for a private one"
        case "GatedRepoError":
            what = "the hub wants its terms accepted first; do that on its page and set HF_TOKEN"
        case "RevisionNotFoundError":
            what = "the hub has no such commit of it; check --model-revision"
        case "LocalEntryNotFoundError" | "ConnectError" | "ConnectTimeout" | "ReadTimeout":
            first = " ".join(str(error.__cause__ or error).split())[:200]
            what = f"the hub does not answer ({first}); is there a network, or should HF_ENDPOINT name a mirror?"
        case _:
            first = " ".join(str(error).split())[:200]
            what = f"{name}: {first}; is the hub reachable, or should HF_ENDPOINT name a mirror?"
    return f"{model} at {revision}: cannot be fetched: {redact(what)}"
