"""Find the model's snapshot by model and commit, without network, torch or transformers."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.errors import VerifierError
from detector.settings import MinicpmSettings
from detector.verify.vlm.local.models import NATIVE_TYPES, known_good, known_models

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json")
# Snapshots before MiniCPM-V 2.5 have no processor, and that of 4.5 can be built without its entries here.
_OWN_CODE_CAN_DO_WITHOUT = "preprocessor_config.json is missing"
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model's files. revision: the 40-digit commit, or None for a user's own folder."""

    model: str
    revision: str | None
    folder: Path

    @property
    def label(self) -> str:
        """Model and commit in short, e.g. openbmb/MiniCPM-V-4.6@1740887131c4."""
        return self.model if self.revision is None else f"{self.model}@{self.revision[:12]}"


def hub_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder where the hub's client keeps its snapshots, by the client's own environment variables."""
    if "HF_HUB_CACHE" in environment:
        return Path(environment["HF_HUB_CACHE"]).expanduser()
    home = environment.get("HF_HOME") or f"{environment.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(home).expanduser() / "hub"


def is_folder(model: str) -> bool:
    """Return whether the setting names a folder and not a model id."""
    return not _MODEL_ID.fullmatch(model) or Path(model).is_dir()


def pinned_revision(settings: MinicpmSettings) -> str:
    """Return the 40-digit commit that the settings ask for, or that of the matrix.

    Raises:
        VerifierError: it is not a full commit, or none is known for this model.
    """
    revision = settings.revision or known_good(settings.model)
    if not revision:
        raise VerifierError(
            f"{settings.model}: no pinned commit is known for it in configs/models.toml; give its 40-digit commit "
            "with --model-revision, or follow its newest with --set minicpm.channel=edge"
        )
    if not _COMMIT.fullmatch(revision):
        raise VerifierError(
            f"{settings.model}: revision {revision!r} has {len(revision)} characters; a full commit of 40 "
            "hexadecimal digits is needed, because short ones and branch names cannot be pinned"
        )
    return revision


def find_snapshot(settings: MinicpmSettings, cache: Path | None = None, *, own_code: bool = False) -> Snapshot:
    """Return the snapshot that the settings ask for, complete and native, from this machine alone.

    Args:
        settings: model and revision.
        cache: folder of the hub's snapshots; the client's own if omitted.
        own_code: any type of model will do, since `serve-45` runs it by its own code.

    Returns:
        the snapshot.

    Raises:
        VerifierError: it is missing, incomplete, not native, or given in two ways at once.
    """
    model = settings.model
    if is_folder(model):
        if settings.revision:
            raise VerifierError(
                f"--model {model} is a folder, so revision {settings.revision!r} cannot apply to it; "
                f"leave out --model-revision, MINICPM_REVISION and the setting `revision`, or give a model id"
            )
        folder = Path(model).expanduser().resolve()
        if not folder.is_dir():
            raise VerifierError(f"--model {model}: neither a folder nor a model id of the form owner/name")
        whole = f"the files in {folder} are not a whole snapshot"
        return _checked(Snapshot(folder.name, None, folder), whole, own_code=own_code)
    known = known_models().get(model)
    if known is not None and known.runs != "native" and not own_code:
        raise VerifierError(f"{model} cannot run here: {known.notes}")
    revision = pinned_revision(settings)
    cache = hub_cache() if cache is None else cache
    folder = cache / f"models--{model.replace('/', '--')}" / "snapshots" / revision
    fetch = f"fetch it with: {pull_command(settings)}"
    if not folder.is_dir():
        raise VerifierError(f"{model} at {revision} is not on this machine (looked in {cache}); {fetch}")
    return _checked(Snapshot(model, revision, folder), fetch, own_code=own_code)


def pull_command(settings: MinicpmSettings) -> str:
    """Return the command line that fetches the snapshot that the settings ask for."""
    words = ["lightning-detector pull"]
    if settings.model != "openbmb/MiniCPM-V-4.6":
        words.append(f"--model {settings.model}")
    if settings.revision:
        words.append(f"--model-revision {settings.revision}")
    return " ".join(words)


def _checked(snapshot: Snapshot, advice: str, *, own_code: bool) -> Snapshot:
    problems = [one for one in missing_parts(snapshot.folder) if not (own_code and one == _OWN_CODE_CAN_DO_WITHOUT)]
    if problems:
        raise VerifierError(f"{snapshot.label}: {'; '.join(problems)}; {advice}")
    kind = _json(snapshot.folder / "config.json").get("model_type")
    if kind not in NATIVE_TYPES and not own_code:
        raise VerifierError(
            f"{snapshot.label}: model type {kind!r} is not one that runs here ({', '.join(NATIVE_TYPES)}); "
            "other models are asked on a model server: --verifier served"
        )
    return snapshot


def missing_parts(folder: Path) -> Iterator[str]:
    """Yield in words each problem that makes `folder` an incomplete snapshot; nothing if it is complete.

    Only names, sizes and headers are checked, in milliseconds; `damaged_files` reads everything.
    """
    for name in _NEEDED:
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif not _json(path):
            yield f"{name} is not JSON, or empty"
    if not (folder / "chat_template.jinja").is_file() and "chat_template" not in _json(
        folder / "tokenizer_config.json"
    ):
        yield "chat_template.jinja is missing"
    shards = sorted(set(_json(folder / _INDEX).get("weight_map", {}).values())) or [_WEIGHTS]
    for name in shards:
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif (said := _weights_problem(path)) is not None:
            yield f"{name} {said}"


def damaged_files(folder: Path) -> Iterator[str]:
    """Yield files whose content differs from the hub's; this reads everything, seconds for some GB.

    The hub's client names each content after its hash (SHA-256 for large files, git's SHA-1 for small ones), so this
    needs no network. Files that are not links into such a store cannot be checked and are skipped.
    """
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink() or not path.is_file():
            continue
        expected = path.resolve().name
        if re.fullmatch(r"[0-9a-f]{64}", expected):
            digest = hashlib.sha256()
        elif _COMMIT.fullmatch(expected):
            digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        else:
            continue
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != expected:
            yield f"{path.relative_to(folder)} is damaged: its hash is {digest.hexdigest()[:12]}, not {expected[:12]}"


def _weights_problem(path: Path) -> str | None:
    """Return what is wrong with a safetensors file, by its own table of contents; None if it is complete."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            return f"is cut off: {size} bytes"
        try:
            table = json.loads(file.read(length))
        except ValueError:
            return "does not start with a table of contents"
    ends = [entry["data_offsets"][1] for name, entry in table.items() if name != "__metadata__"]
    expected = 8 + length + max(ends, default=0)
    return None if size == expected else f"has {size} bytes, not {expected}"


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
