"""Choose the snapshot of MiniCPM-V 4.5: pinned and from this machine alone, or the newest, which is fetched."""

from pathlib import Path

import msgspec

from detector.errors import VerifierError
from detector.settings import MinicpmSettings, Settings
from detector.verify.vlm.local.environment_report import installed
from detector.verify.vlm.local.hub import fetch, newest_revision
from detector.verify.vlm.local.models import known_models
from detector.verify.vlm.local.snapshot import (
    Snapshot,
    hub_cache,
    is_folder,
    missing_parts,
    pinned_revision,
    pull_command,
)

# Snapshots before MiniCPM-V 2.5 have no processor, and that of 4.5 can be built without this one's entries.
_CAN_DO_WITHOUT = "preprocessor_config.json is missing"


def find_snapshot_45(settings: Settings, cache: Path | None = None) -> Snapshot:
    """Return the complete snapshot that `[minicpm45]` asks for. On the channel edge it is fetched first.

    Raises:
        VerifierError: it is missing, incomplete, given in two ways at once, or cannot be fetched.
    """
    wanted = _wanted(settings)
    model = wanted.model
    if is_folder(model):
        return _folder(wanted)
    if wanted.channel == "edge":
        if wanted.revision:
            raise VerifierError(
                f"{model}: revision {wanted.revision} and the channel edge exclude each other; edge takes the newest"
            )
        if installed("huggingface_hub") is None:
            raise VerifierError(
                "the channel edge needs the hub's client, which is not installed: pip install "
                "'.[minicpm]' in the project's folder"
            )
        return fetch(model, newest_revision(model))
    revision = pinned_revision(wanted)
    cache = hub_cache() if cache is None else cache
    folder = cache / f"models--{model.replace('/', '--')}" / "snapshots" / revision
    advice = f"fetch it with: {pull_command(wanted)}"
    if not folder.is_dir():
        raise VerifierError(f"{model} at {revision} is not on this machine (looked in {cache}); {advice}")
    return _whole(Snapshot(model, revision, folder), advice)


def known_good(model: str) -> str:
    """Return the commit of `model` that the matrix names; empty if there is none."""
    row = known_models().get(model)
    return row.revision if row else ""


def _folder(wanted: MinicpmSettings) -> Snapshot:
    if wanted.revision:
        raise VerifierError(
            f"--model {wanted.model} is a folder, so revision {wanted.revision!r} cannot apply to it; "
            "leave out --model-revision, MINICPM_REVISION and minicpm45.revision, or give a model id"
        )
    folder = Path(wanted.model).expanduser().resolve()
    if not folder.is_dir():
        raise VerifierError(f"--model {wanted.model}: neither a folder nor a model id of the form owner/name")
    return _whole(Snapshot(folder.name, None, folder), f"the files in {folder} are not a whole snapshot")


def _whole(snapshot: Snapshot, advice: str) -> Snapshot:
    problems = [problem for problem in missing_parts(snapshot.folder) if problem != _CAN_DO_WITHOUT]
    if problems:
        raise VerifierError(f"{snapshot.label}: {'; '.join(problems)}; {advice}")
    return snapshot


def _wanted(settings: Settings) -> MinicpmSettings:
    """Return the values of `[minicpm45]` in the form that the shared lookups take."""
    asked = settings.minicpm45
    return msgspec.structs.replace(settings.minicpm, model=asked.model, revision=asked.revision, channel=asked.channel)
