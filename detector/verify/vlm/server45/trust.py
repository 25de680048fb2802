"""Trust in a snapshot's code: list and hash its executable files, record them at first trust, compare them later."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from detector.errors import VerifierError

# Under auto_map, these name the classes to load from the snapshot's Python files, so they decide what runs.
_DECIDING = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
CodeFiles = dict[str, str]  # path inside the snapshot -> SHA-256, in order of path


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one revision, and when a person allowed them to run."""

    trusted_at: str
    files: CodeFiles


class TrustStore(msgspec.Struct, kw_only=True):
    """Every revision of every model whose code has been trusted here; `models[id][revision]`."""

    models: dict[str, dict[str, Trusted]] = {}


def code_files(snapshot: Path) -> CodeFiles:
    """Return the files in `snapshot` that would be executed, or that decide this, with their SHA-256.

    Raises:
        VerifierError: there is no Python file, one cannot be read, or auto_map names code in another repository.
    """
    scripts = sorted(path for path in snapshot.rglob("*.py") if path.is_file())
    if not scripts:
        raise VerifierError(f"{snapshot}: no Python file: this is not a snapshot of a model that brings its own code")
    deciding = [snapshot / name for name in _DECIDING if (snapshot / name).is_file()]
    _refuse_foreign_code(snapshot)
    return {path.relative_to(snapshot).as_posix(): _sha256(path) for path in (*scripts, *deciding)}


def auto_map(snapshot: Path) -> dict[str, str]:
    """Return every class that the snapshot's settings name for loading, e.g. AutoModel -> modeling_minicpmv.MiniCPMV.

    Raises:
        VerifierError: one of the settings files is not JSON.
    """
    named: dict[str, str] = {}
    for name in _DECIDING:
        table = read_json(snapshot / name) if (snapshot / name).is_file() else {}
        for auto, where in dict(table.get("auto_map") or {}).items():
            # A tokenizer has two: [slow, fast], either may be null.
            for one in where if isinstance(where, list) else [where]:
                if one:
                    named[f"{name}: {auto}: {one}"] = str(one)
    return named


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`.

    Raises:
        VerifierError: it cannot be read or is not a JSON object.
    """
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise VerifierError(
            f"{path}: not readable as JSON: {error}; the snapshot is damaged, fetch it again"
        ) from error
    if not isinstance(table, dict):
        raise VerifierError(f"{path}: a JSON object was expected, not {type(table).__name__}")
    return table


def read_store(record: Path) -> TrustStore:
    """Return the store of trusted code; empty if there is no record.

    Raises:
        VerifierError: the record exists but cannot be read: better to stop than to ask again as if new.
    """
    try:
        return msgspec.json.decode(record.read_bytes(), type=TrustStore)
    except FileNotFoundError:
        return TrustStore()
    except (OSError, msgspec.DecodeError) as error:
        raise VerifierError(
            f"{record}: the record of trusted code cannot be read: {error}; repair or remove it"
        ) from error


def trust(record: Path, model: str, revision: str, files: CodeFiles) -> None:
    """Record that `files` of this revision may run.

    Raises:
        VerifierError: the record cannot be read or written.
    """
    store = read_store(record)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.models.setdefault(model, {})[revision] = Trusted(trusted_at=now, files=files)
    fresh = record.with_name(f"{record.name}.{os.getpid()}")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(store)))
        fresh.replace(record)
    except OSError as error:
        raise VerifierError(f"{record}: cannot be written: {error.strerror}; nothing is trusted yet") from error


def objection(store: TrustStore, model: str, revision: str, files: CodeFiles) -> str | None:
    """Return why `files` may not run yet, as lines for a person, or None if exactly these were trusted before.

    A new revision may run if its files equal those of a trusted one: it is the same code.
    """
    known = store.models.get(model, {})
    if any(trusted.files == files for trusted in known.values()):
        return None
    if not known:
        return "\n".join(
            [f"{model} at {revision} has never been trusted here. It would run these files:", *listing(files)]
        )
    before = known.get(revision) or max(known.values(), key=lambda trusted: trusted.trusted_at)
    where = "the one that was trusted" if revision in known else f"that trusted on {before.trusted_at}"
    lines = [f"{model} at {revision}: the code is not {where}:", *differences(before.files, files)]
    if revision in known and not Path(revision).is_absolute():
        lines.append(
            "A commit never changes, so these files were changed on this machine. Who did that? Fetch it again."
        )
    return "\n".join(lines)


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the changes from `before` to `now`, one line per file."""
    lines = []
    for path in sorted({*before, *now}):
        was, becomes = before.get(path), now.get(path)
        if was is None:
            lines.append(f"  added    {path} {becomes}")
        elif becomes is None:
            lines.append(f"  removed  {path} {was}")
        elif was != becomes:
            lines.append(f"  changed  {path} {was} -> {becomes}")
    return lines


def stage(snapshot: Path, files: CodeFiles, folder: Path) -> Path:
    """Copy the snapshot's code to `folder`, checked again, and link the rest, so that only hashed code runs.

    Returns:
        `folder`.

    Raises:
        VerifierError: a file is no longer what was hashed.
    """
    for path, expected in files.items():
        content = (snapshot / path).read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise VerifierError(f"{snapshot / path}: changed while it was being checked; who writes there?")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    for entry in snapshot.iterdir():
        # Folders contain nothing that loading needs; a Python file left out here was not hashed.
        if (
            entry.is_file()
            and entry.name not in files
            and PurePosixPath(entry.name).suffix not in {".py", ".pyc", ".so"}
        ):
            (folder / entry.name).symlink_to(entry.resolve())
    return folder


def listing(files: CodeFiles) -> list[str]:
    """Return hash and path of each file, one per line."""
    return [f"  {sha256}  {path}" for path, sha256 in files.items()]


def _refuse_foreign_code(snapshot: Path) -> None:
    for where, name in auto_map(snapshot).items():
        if "--" in name:
            raise VerifierError(
                f"{snapshot}: {where} names code in another repository, which no revision pins; it is not run"
            )


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise VerifierError(f"{path}: cannot be read: {error.strerror}; fetch the snapshot again") from error
