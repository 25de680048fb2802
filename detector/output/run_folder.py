"""The folder of a run: flashes.jsonl, flashes.csv, and the media beside them."""

import logging
from pathlib import Path, PurePath

from detector.errors import OutputError
from detector.events import Media, flash_in
from detector.output.files import check_writable, write_whole
from detector.output.jsonl import JsonlWriter, last_revisions, read_lines
from detector.output.media import CLIPS, remove_media
from detector.output.tables import csv_rows
from stream import WireMessage

_log = logging.getLogger(__name__)


class RunFolder:
    """The folder of a run: `begin` once there is something to watch, `add` each message, `close` at the end.

    Until `begin` nothing is touched. While the run goes on, flashes.jsonl grows by one line whenever a flash gets its
    verdict, so that a crash loses nothing; `close` leaves each flash once, in its last revision, and makes
    flashes.csv from it. What cannot be written then costs these files and not the run: `failure` tells.

    Args:
        path: the folder.
        keep_earlier: go on where an earlier run ended.
        overwrite: `begin` removes what an earlier run left, stills and clips too.

    Attributes:
        failure: why results are missing; None while none are.

    Raises:
        OutputError: the folder or a file in it cannot be written, or holds flashes that would have to go.
    """

    def __init__(self, path: Path, *, keep_earlier: bool = False, overwrite: bool = False) -> None:
        self.path = path
        self.failure: OutputError | None = None
        self._overwrite = overwrite
        self._jsonl = path / "flashes.jsonl"
        self._lines = JsonlWriter(self._jsonl)
        check_writable(path)
        if not keep_earlier and not overwrite:
            self._refuse_earlier()
        self._earlier = self._read_earlier() if overwrite else []

    @property
    def clips(self) -> frozenset[Path]:
        """The clips of an earlier run that are overwritten, as real paths."""
        made = (media.clip for media in self._earlier)
        return frozenset((self.path / CLIPS / PurePath(clip).name).resolve() for clip in made if clip is not None)

    def begin(self) -> None:
        """Make the folder and start flashes.jsonl; calls after the first do nothing."""
        try:
            self._write()
        except OSError as error:
            raise OutputError(f"--out {self.path}: cannot write results: {error.strerror}") from error

    def add(self, message: WireMessage) -> None:
        """Take one message of the feed; only final states of flashes are kept."""
        flash = flash_in(message)
        if flash is None or flash.state == "detected":
            return
        self._lines.hold(message.body + b"\n")
        try:
            self._write()
        except OSError as error:
            self._fail(_cannot_write(self._jsonl, error, "make room there; what waits in memory follows then"))

    def close(self) -> None:
        """Write what waits and the files of the end; a folder that never began is left alone."""
        if not self._lines.begun and not self._lines.waiting:
            return
        try:
            self._write()
        except OSError as error:
            self._fail(_cannot_write(self._jsonl, error))
        self._lines.close()
        if self._lines.begun:
            self._finish()

    def _write(self) -> None:
        """Write what waits for flashes.jsonl."""
        if self._overwrite and not self._lines.begun:
            self._remove_earlier()
        self._lines.catch_up()
        if self.failure is not None and not self._lines.lost:
            _log.warning("%s: can be written again, and lacks nothing", self._jsonl)
            self.failure = None

    def _fail(self, error: OutputError) -> None:
        if self.failure is None:
            self.failure = error
            _log.error("%s", error)

    def _refuse_earlier(self) -> None:
        if self._jsonl.exists() and self._jsonl.stat().st_size:
            raise OutputError(
                f"--out {self.path}: holds the flashes of an earlier run; choose another folder, or replace them with "
                "--overwrite"
            )

    def _read_earlier(self) -> list[Media]:
        try:
            with self._jsonl.open("rb") as lines:
                return [message.data.media for _, message in read_lines(lines)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputError(
                f"{self._jsonl}: cannot be read, and so not be overwritten: {error.strerror}; choose another folder"
            ) from error

    def _remove_earlier(self) -> None:
        for media in self._earlier:
            remove_media(self.path, media)
        self._jsonl.unlink(missing_ok=True)
        (self.path / "flashes.csv").unlink(missing_ok=True)

    def _finish(self) -> None:
        try:
            write_whole(self._jsonl, last_revisions(self._jsonl))
            with self._jsonl.open("rb") as lines:
                write_whole(self.path / "flashes.csv", csv_rows(message.data for _, message in read_lines(lines)))
        except OSError as error:
            self._fail(_cannot_write(Path(error.filename or self.path), error))


def _cannot_write(path: Path, error: OSError, advice: str = "make room there and run again") -> OutputError:
    return OutputError(f"{path}: cannot write results: {error.strerror}; {advice}")
