"""run.json: what a run was made of, so that it can be gone on with, and so that its report can say so."""

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
"""Sections that decide what is found in a file and kept of it."""


class FileRecord(msgspec.Struct, kw_only=True):
    """A recording of a run."""

    name: str
    """What events call it."""
    path: str
    camera: str
    bytes: int
    modified: float
    """Seconds since 1970."""
    settings: str
    """Names the settings that it was watched with."""
    state: Literal["begun", "done", "failed"] = "begun"
    problem: str | None = None
    """Why it was not watched to its end."""


class RunRecord(msgspec.Struct, kw_only=True):
    """The content of run.json; readers ignore keys that they do not know."""

    run: str
    """Part of the ids of a replay's flashes: files that are watched again give the same ones."""
    software: str = SOFTWARE
    command: str = "replay"
    started: str = ""
    ended: str | None = None
    verifier: str = ""
    settings: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    """What differs from the defaults."""
    files: list[FileRecord] = []


@dataclass(frozen=True, slots=True)
class Plan:
    """What of the inputs is to be watched.

    Attributes:
        recordings: in order, with names and cameras of their own in the whole run.
        skipped: how many were finished in an earlier run.
        forgotten: names of recordings that are watched again, whose earlier flashes go.
    """

    recordings: list[Recording]
    skipped: int = 0
    forgotten: frozenset[str] = frozenset()


class RunLog:
    """run.json of one run, written whenever a file begins or ends; what cannot be written is logged once.

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
        """Return what is to be watched: what is finished, and has not changed since, is not watched again.

        Args:
            recordings: what the inputs hold.
            add: a file that lies where an earlier one lay but is another one is added, as from a second card; else it
                takes the place of that.
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
        """A recording is being watched, as `camera`."""
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
        """A recording was watched to its end, or as far as it could be."""
        for one in self.record.files:
            if one.name == recording.name:
                one.state, one.problem = "done" if problem is None else "failed", problem
                self.write()

    def end(self) -> None:
        """The run is over."""
        self.record.ended = _now()
        self.write()

    def write(self) -> None:
        """Write run.json, whole or not at all."""
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
        """Return a recording that is new to the run under a name and a camera that are not taken."""
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
    """Return what an earlier run in `folder` was made of; None where there was none.

    Raises:
        OutputError: there are flashes, but it is not known of what.
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
    """Return how large it is and when it was written, all segments together; (0, 0) of what is no file."""
    try:
        stats = [path.stat() for path in recording.parts or (recording.path,)]
    except OSError:
        return 0, 0.0
    return sum(stat.st_size for stat in stats), max(stat.st_mtime for stat in stats)


def _text(recording: Recording) -> str:
    """Return the real path of a file; of what is none, what events call it."""
    if not isinstance(recording.source, Path):
        return recording.name
    return str(recording.source.resolve()).encode(errors="replace").decode()


def _digest(settings: Settings) -> str:
    table = msgspec.to_builtins(settings)
    deciding = {section: table[section] for section in _DECIDING}
    return hashlib.blake2s(msgspec.json.encode(deciding, order="sorted"), digest_size=8).hexdigest()


def _changed(table: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `table` differs from `defaults`, section by section."""
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
