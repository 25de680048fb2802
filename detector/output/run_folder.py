"""The folder of a run: its flashes, flashes.csv, and the media beside them."""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from detector.errors import OutputError
from detector.events import FLASH_TOPIC, Flash, FlashMessage, Media, decode_flash_message
from detector.output.files import check_writable, write_whole
from detector.output.jsonl import JsonlWriter, last_revisions, read_lines, run_files, run_lines
from detector.output.media import remove_media
from detector.output.media_folder import inside
from detector.output.tables import csv_rows
from detector.output.text import plural
from stream import WireMessage

_log = logging.getLogger(__name__)

CURVES, FLASH_CURVES = "curves.jsonl", "flash-curves.jsonl"
_MADE = ("flashes.csv", CURVES, FLASH_CURVES, "run.json", "report.html")
"""Files of a run beside its flashes and media."""


class RunFolder:
    """The folder of a run: `begin` once there is something to watch, `add` each message, `close` at the end.

    Until `begin` nothing is touched. While the run goes on, its file of flashes grows by one line whenever a flash has
    something new, so that a crash loses nothing; `close` leaves each flash once, in its last revision, and makes
    flashes.csv from all of them. What cannot be written then costs these files and not the run: `failure` tells.

    Args:
        path: the folder.
        keep_earlier: go on where an earlier run ended.
        by_month: flashes-2026-11.jsonl for the flashes of each month (UTC), so that no file grows for years; else
            flashes.jsonl.
        overwrite: `begin` removes what an earlier run left, its media too.

    Attributes:
        failure: why results are missing; None while none are.

    Raises:
        OutputError: the folder or a file in it cannot be written, or holds flashes that would have to go.
    """

    def __init__(
        self, path: Path, *, keep_earlier: bool = False, by_month: bool = False, overwrite: bool = False
    ) -> None:
        self.path = path
        self.failure: OutputError | None = None
        self._by_month = by_month
        self._overwrite = overwrite
        self._forgotten: frozenset[str] = frozenset()
        self._files: dict[Path, JsonlWriter] = {}
        self._begun = False
        check_writable(path)
        if not keep_earlier and not overwrite:
            self._refuse_earlier()
        self._earlier = self._read_earlier() if overwrite or (keep_earlier and not by_month) else []

    @property
    def clips(self) -> frozenset[Path]:
        """The clips of an earlier run that this run overwrites or adds to, as real paths."""
        named = (media.clip for _, media in self._earlier)
        paths = (inside(self.path, clip) for clip in named if clip is not None)
        return frozenset(path for path in paths if path is not None)

    @property
    def begun(self) -> bool:
        """Whether the run has begun."""
        return self._begun

    def forget(self, recordings: Collection[str]) -> None:
        """Let `begin` remove an earlier run's results of `recordings`, which are replayed again."""
        self._forgotten = frozenset(recordings)

    def begin(self) -> None:
        """Create the folder and start its file of flashes; a second call does nothing."""
        if self._begun:
            return
        try:
            self._begin()
            name = f"flashes-{datetime.now(UTC):%Y-%m}.jsonl" if self._by_month else "flashes.jsonl"
            self._writer_of(self.path / name).catch_up()
        except OSError as error:
            raise OutputError(f"--out {self.path}: cannot write results: {error.strerror}") from error

    def add(self, message: WireMessage) -> None:
        """Add one message of the feed; only revisions after the end of a flash are kept."""
        if not message.topic.startswith(FLASH_TOPIC):
            return
        told = decode_flash_message(message.body)
        if told.data.state == "detected":
            return
        file = self._writer_of(self._file_of(told))
        file.hold(message.body + b"\n")
        self._catch_up("make room there; what waits in memory follows then")

    def close(self) -> None:
        """Write waiting lines and the final files; do nothing if the run never began."""
        if not self._begun and not any(file.waiting for file in self._files.values()):
            return
        self._catch_up()
        for file in self._files.values():
            file.close()
        if self._begun:
            self._finish()

    def _writer_of(self, path: Path) -> JsonlWriter:
        return self._files.setdefault(path, JsonlWriter(path))

    def _file_of(self, told: FlashMessage) -> Path:
        """Return the file of a flash: all its revisions have the same start."""
        if not self._by_month:
            return self.path / "flashes.jsonl"
        return self.path / f"flashes-{(told.data.start_utc or told.time)[:7]}.jsonl"

    def _begin(self) -> None:
        if self._overwrite:
            self._remove_earlier()
        elif self._forgotten:
            self._remove_forgotten()
        self._begun = True

    def _catch_up(self, advice: str = "make room there and run again") -> None:
        """Write the waiting lines of each file."""
        try:
            if not self._begun:
                self._begin()
        except OSError as error:
            self._fail(_cannot_write(Path(error.filename or self.path), error, advice))
            return
        for path, file in self._files.items():
            try:
                file.catch_up()
            except OSError as error:
                self._fail(_cannot_write(path, error, advice))
                return
        if self.failure is not None and not any(file.lost for file in self._files.values()):
            _log.warning("%s: can be written again, and lacks nothing", next(reversed(self._files)))
            self.failure = None

    def _fail(self, error: OutputError) -> None:
        if self.failure is None:
            self.failure = error
            _log.error("%s", error)

    def _refuse_earlier(self) -> None:
        if any(file.stat().st_size for file in run_files(self.path)):
            raise OutputError(
                f"--out {self.path}: holds the flashes of an earlier run; choose another folder, or go on with "
                "--resume or --add, or replace them with --overwrite"
            )

    def _read_earlier(self) -> list[tuple[str | None, Media]]:
        """Return the recording and the media of each flash of an earlier run."""
        found = []
        try:
            for path in run_files(self.path):
                with path.open("rb") as lines:
                    found += [(message.data.file, message.data.media) for _, message in read_lines(lines)]
        except OSError as error:
            raise OutputError(
                f"{error.filename or path}: cannot be read, and so not be overwritten: {error.strerror}; choose "
                "another folder"
            ) from error
        return found

    def _remove_earlier(self) -> None:
        for _, media in self._earlier:
            remove_media(self.path, media)
        for file in run_files(self.path):
            file.unlink(missing_ok=True)
        for name in _MADE:
            (self.path / name).unlink(missing_ok=True)
        for pattern in ("curves-[0-9]*.jsonl", "flash-curves-[0-9]*.jsonl"):
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)

    def _remove_forgotten(self) -> None:
        """Remove the flashes, media and curves of recordings that are replayed again."""
        for recording, media in self._earlier:
            if recording in self._forgotten:
                remove_media(self.path, media)
        gone = {flash.id for flash in run_lines(self.path) if flash.file in self._forgotten}
        for path in run_files(self.path):
            _filter_lines(path, lambda line: line.get("data", {}).get("id") not in gone)
        _filter_lines(self.path / CURVES, lambda line: line.get("file") not in self._forgotten)
        _filter_lines(self.path / FLASH_CURVES, lambda line: line.get("id") not in gone)

    def _finish(self) -> None:
        try:
            for path, file in self._files.items():
                if file.begun:
                    write_whole(path, last_revisions(path))
            write_whole(self.path / "flashes.csv", csv_rows(_all_flashes(self.path)))
        except OSError as error:
            self._fail(_cannot_write(Path(error.filename or self.path), error))


def results_line(folder: Path) -> str:
    """Return how many flashes a run's folder holds, and how many of them have a still and a clip."""
    flashes = [flash for flash in _all_flashes(folder) if flash.state != "rejected"]
    stills, clips = (sum(getattr(one.media, kind) is not None for one in flashes) for kind in ("still", "clip"))
    return f"{plural(len(flashes), 'flash', 'flashes')}, {plural(stills, 'still')}, {plural(clips, 'clip')}"


def _all_flashes(folder: Path) -> Iterator[Flash]:
    """Yield each flash in a run's folder; of the file of an earlier version, or of a run that was killed, the last."""
    for path in run_files(folder):
        yield from (message.data for _, message in read_lines(last_revisions(path)))


def _filter_lines(path: Path, kept: Callable[[dict[str, Any]], bool]) -> None:
    """Keep the complete lines of a file of JSON for which `kept` is true."""
    if not path.is_file():
        return

    def lines() -> Iterator[bytes]:
        with path.open("rb") as file:
            for line in file:
                with suppress(msgspec.DecodeError):
                    content = msgspec.json.decode(line)
                    if isinstance(content, dict) and kept(content):
                        yield line

    write_whole(path, lines())


def _cannot_write(path: Path, error: OSError, advice: str = "make room there and run again") -> OutputError:
    return OutputError(f"{path}: cannot write results: {error.strerror}; {advice}")
