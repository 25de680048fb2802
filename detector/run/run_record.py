"""run.json: the recordings and settings of a run, so that it can be continued, and for its report."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import msgspec

from detector.errors import OutputError
from detector.events import SOFTWARE
from detector.output.files import make_folder, write_whole
from detector.run.cameras import distinct_names
from detector.run.recordings import Recording
from detector.settings import Settings

_log = logging.getLogger(__name__)

RUN_FILE = "run.json"
_DECIDING = ("capture", "prefilter", "verifier", "photometric", "question", "minicpm", "served", "cascade", "evidence")
"""Sections that decide which flashes are found in a file, and what is kept of them."""


class FileRecord(msgspec.Struct, kw_only=True):
    """A recording of a run."""

    name: str
    """Its name in events."""
    path: str
    camera: str
    bytes: int
    modified: float
    """Seconds since 1970."""
    settings: str
    """Identifies the settings that it was replayed with."""
    state: Literal["begun", "done", "failed"] = "begun"
    problem: str | None = None
    """Why it was not replayed to its end."""


class RunRecord(msgspec.Struct, kw_only=True):
    """The content of run.json; readers ignore unknown keys."""

    run: str
    """Part of the ids of a replay's flashes, so that files replayed again give the same ids."""
    software: str = SOFTWARE
    command: str = "replay"
    started: str = ""
    ended: str | None = None
    verifier: str = ""
    settings: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    """Settings that differ from the defaults."""
    files: list[FileRecord] = []


@dataclass(frozen=True, slots=True)
class Plan:
    """The recordings to replay.

    Attributes:
        recordings: in order, with unique names and cameras in the whole run.
        skipped: number of recordings that were finished in an earlier run.
        forgotten: names of recordings that are replayed again, whose earlier flashes are removed.
    """

    recordings: list[Recording]
    skipped: int = 0
    forgotten: frozenset[str] = frozenset()


class RunLog:
    """The run.json of one run, written whenever a file begins or ends; a write error is logged once.

    Attributes:
        record: its content.
    """

    def __init__(self, folder: Path, settings: Settings, command: str, earlier: RunRecord | None = None) -> None:
        self.record = earlier or RunRecord(run=uuid4().hex[:12])
        self._path = folder / RUN_FILE
        self._digest = _digest(settings)
        self._failed = False
        record = self.record
        record.software, record.command, record.ended = SOFTWARE, command, None
        record.started = record.started or _now()
        record.settings = msgspec.to_builtins(settings)
        record.changed = _changed(record.settings, msgspec.to_builtins(Settings()))

    def plan(self, recordings: Sequence[Recording], *, add: bool = False) -> Plan:
        """Return the recordings to replay: those not finished yet, and those that have changed since.

        Args:
            recordings: the recordings among the inputs.
            add: whether another file at the path of an earlier one is added, as from a second memory card; otherwise it
                replaces the earlier one.
        """
        files = self.record.files
        watched: list[Recording] = []
        forgotten: set[str] = set()
        skipped = 0
        for recording in recordings:
            found = next((one for one in files if one.path == _text(recording)), None)
            if found is not None and add and not _same(found, recording):
                found = None
            if found is None:
                watched.append(self._named(recording, watched))
            elif found.state == "done" and _same(found, recording) and found.settings == self._digest:
                skipped += 1
            else:
                forgotten.add(found.name)
                watched.append(replace(recording, name=found.name, camera=found.camera))
        return Plan(watched, skipped, frozenset(forgotten))

    def begin(self, recording: Recording, camera: str) -> None:
        """Note that a recording starts, as `camera`."""
        size, modified = _state_of(recording)
        self.record.files = [one for one in self.record.files if one.name != recording.name]
        self.record.files.append(
            FileRecord(
                name=recording.name,
                path=_text(recording),
                camera=recording.camera or camera,
                bytes=size,
                modified=modified,
                settings=self._digest,
            )
        )
        self.write()

    def finish(self, recording: Recording, problem: str | None) -> None:
        """Note that a recording ended, or broke off because of `problem`."""
        for one in self.record.files:
            if one.name == recording.name:
                one.state, one.problem = "done" if problem is None else "failed", problem
                self.write()

    def end(self) -> None:
        """Note the end of the run."""
        self.record.ended = _now()
        self.write()

    def write(self) -> None:
        """Write run.json atomically."""
        try:
            make_folder(self._path.parent)
            write_whole(self._path, [msgspec.json.format(msgspec.json.encode(self.record), indent=1)])
        except OSError as error:
            if not self._failed:
                _log.error(
                    "%s: cannot be written: %s; --resume will watch more than it must", self._path, error.strerror
                )
            self._failed = True

    def _named(self, recording: Recording, watched: Sequence[Recording]) -> Recording:
        """Return a new recording with a name and a camera that are unique in the run."""
        names = {one.name for one in self.record.files} | {one.name for one in watched}
        cameras = [*(one.camera for one in self.record.files), *(one.camera for one in watched)]
        name = recording.name
        if name in names:
            base, number = _text(recording), 1
            name = base
            while name in names:
                number += 1
                name = f"{base} ({number})"
        camera = distinct_names([*cameras, recording.camera or str(recording.path)])[-1]
        return replace(recording, name=name, camera=camera)


def read_record(folder: Path) -> RunRecord | None:
    """Return the record of an earlier run in `folder`; None if there is none.

    Raises:
        OutputError: there are flashes, but no readable record of them.
    """
    try:
        return msgspec.json.decode((folder / RUN_FILE).read_bytes(), type=RunRecord)
    except FileNotFoundError:
        if any(folder.glob("flashes*.jsonl")):
            raise OutputError(
                f"{folder}: holds flashes but no {RUN_FILE}, so nothing can be added to them; choose another folder, "
                "or replace them with --overwrite"
            ) from None
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise OutputError(f"{folder / RUN_FILE}: cannot be read: {error}; choose another folder") from error


def _same(found: FileRecord, recording: Recording) -> bool:
    return found.bytes > 0 and (found.bytes, found.modified) == _state_of(recording)


def _state_of(recording: Recording) -> tuple[int, float]:
    """Return size and modification time of all segments together; (0, 0) for inputs that are not files."""
    try:
        stats = [path.stat() for path in recording.parts or (recording.path,)]
    except OSError:
        return 0, 0.0
    return sum(stat.st_size for stat in stats), max(stat.st_mtime for stat in stats)


def _text(recording: Recording) -> str:
    """Return the real path of a file; for other inputs, the name in events."""
    if not isinstance(recording.source, Path):
        return recording.name
    return str(recording.source.resolve()).encode(errors="replace").decode()


def _digest(settings: Settings) -> str:
    table = msgspec.to_builtins(settings)
    deciding = {section: table[section] for section in _DECIDING}
    return hashlib.blake2s(msgspec.json.encode(deciding, order="sorted"), digest_size=8).hexdigest()


def _changed(table: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `table` that differ from `defaults`, section by section."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            inner = _changed(value, default)
            if inner:
                found[key] = inner
        elif value != default:
            found[key] = value
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
