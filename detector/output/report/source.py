"""Read the results of a run: its flashes, its light curves and run.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from detector.errors import OutputError
from detector.events import FLASH_TOPIC, Flash, decode_flash_message
from detector.output.report.curves import CurvePiece, FlashCurve, read_curves, read_flash_curves
from stream import HistoryFilter, read_history


@dataclass(frozen=True, slots=True)
class RunResults:
    """The results of a run.

    Attributes:
        folder: folder of its media, in which the report is written.
        flashes: each once, in its last revision; `detected` ones come from a killed run.
        curves: the watched time with its brightness; empty for runs that recorded none.
        flash_curves: by flash id.
        about: the content of run.json; empty if there is none.
    """

    folder: Path
    flashes: tuple[Flash, ...]
    curves: tuple[CurvePiece, ...] = ()
    flash_curves: Mapping[str, FlashCurve] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def read_run(path: Path, begin: float | None = None, end: float | None = None, media: Path | None = None) -> RunResults:
    """Return the results at `path`, a run's folder or a journal.

    Args:
        path: the folder of `--out`, or the file of `--journal`.
        begin: only flashes that start at or after this time, UTC seconds since 1970.
        end: only flashes that start before this time.
        media: the folder of the media that a journal names; the journal's own if omitted.

    Raises:
        OutputError: there are no results at `path`, or they cannot be read.
        JournalError: the file is no journal.
    """
    if path.is_dir():
        flashes = _from_folder(path)
        folder = path
    elif path.is_file():
        flashes = _from_journal(path)
        folder = media or path.parent
    else:
        raise OutputError(f"{path}: nothing is there; give the folder of --out, or the file of --journal")
    kept = tuple(flash for flash in flashes.values() if _inside(flash, begin, end))
    ids = {flash.id for flash in kept}
    curves = tuple(piece for piece in read_curves(folder) if _overlaps(piece, begin, end))
    flash_curves = {key: curve for key, curve in read_flash_curves(folder).items() if key in ids}
    return RunResults(folder, kept, curves, flash_curves, _about(folder))


def _from_folder(folder: Path) -> dict[str, Flash]:
    files = sorted(folder.glob("flashes*.jsonl"))
    if not files:
        raise OutputError(f"{folder}: no flashes.jsonl in this folder; give the one that was named with --out")
    last: dict[str, Flash] = {}
    for file in files:
        try:
            with file.open("rb") as lines:
                for line in lines:
                    try:
                        flash = decode_flash_message(line).data
                    except msgspec.DecodeError:
                        continue  # a killed run may leave half a line
                    last[flash.id] = flash
        except OSError as error:
            raise OutputError(f"{file}: cannot be read: {error.strerror}") from error
    return last


def _from_journal(path: Path) -> dict[str, Flash]:
    records = read_history(path, HistoryFilter(topics=(FLASH_TOPIC,)))
    return {flash.id: flash for flash in (decode_flash_message(record.body).data for record in records)}


def _inside(flash: Flash, begin: float | None, end: float | None) -> bool:
    if begin is None and end is None:
        return True
    utc = utc_of(flash)
    return utc is not None and (begin is None or utc >= begin) and (end is None or utc < end)


def _overlaps(piece: CurvePiece, begin: float | None, end: float | None) -> bool:
    if begin is None and end is None:
        return True
    if piece.utc_offset is None:
        return False
    after = begin is None or piece.end + piece.utc_offset > begin
    return after and (end is None or piece.begin + piece.utc_offset < end)


def utc_of(flash: Flash) -> float | None:
    """Return the start of a flash in seconds since 1970; None if unknown."""
    if flash.start_utc is None:
        return None
    return datetime.fromisoformat(flash.start_utc).timestamp()


def _about(folder: Path) -> dict[str, Any]:
    try:
        content = msgspec.json.decode((folder / "run.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return content if isinstance(content, dict) else {}
