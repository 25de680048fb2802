"""flashes.jsonl: written line by line, whatever becomes of the file and its disk meanwhile, and read."""

import errno
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

import msgspec

from detector.events import Flash, FlashMessage, decode_flash_message
from detector.output.files import make_folder, open_private

_log = logging.getLogger(__name__)

_ROOM = 10_000  # lines that wait in memory for a disk: about 20 MB


class JsonlWriter:
    """The file at `path`, to which `catch_up` appends what was given to `hold`.

    What cannot be written waits in memory and follows, in order, once it can. A file that was moved or deleted
    meanwhile (put away as old, or replaced by another run at its end) is begun anew.

    Attributes:
        lost: how many lines were dropped, because too many waited.
    """

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._path = path
        self._file: FileIO | None = None
        self._waiting: deque[bytes] = deque()

    @property
    def waiting(self) -> int:
        """How many lines are not written yet."""
        return len(self._waiting)

    @property
    def begun(self) -> bool:
        """Whether the file was opened."""
        return self._file is not None

    def hold(self, line: bytes) -> None:
        """Keep `line` until `catch_up` writes it."""
        self._waiting.append(line)
        if len(self._waiting) > _ROOM:
            self._waiting.popleft()
            if not self.lost:
                _log.error("%s: more than %d flashes wait for it; the oldest are dropped", self._path, _ROOM)
            self.lost += 1

    def catch_up(self) -> None:
        """Write what waits into the file, which is made where there is none.

        Raises:
            OSError: it cannot be written now; it waits.
        """
        file = self._open()
        while self._waiting:
            append_line(file, self._waiting[0])
            self._waiting.popleft()

    def close(self) -> None:
        """Close the file; it may be called twice."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> FileIO:
        if self._file is not None and not _is_at(self._file, self._path):
            _log.warning("%s: was moved or deleted while in use; further flashes go into a new file", self._path)
            self._file.close()
            self._file = None
        if self._file is None:
            make_folder(self._path.parent)
            self._file = FileIO(self._path, "a+", opener=open_private)
        return self._file


def _is_at(file: FileIO, path: Path) -> bool:
    """Whether `file` is what lies at `path` now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def append_line(file: FileIO, line: bytes) -> None:
    """Write `line` whole or not at all, and on a line of its own: half of one would spoil the next.

    Args:
        file: opened for reading and appending, without a buffer.
        line: with its end.

    Raises:
        OSError: it cannot be written.
    """
    end = os.fstat(file.fileno()).st_size
    if not _ends_a_line(file, end):
        line = b"\n" + line  # the power failed, or a run was killed, in the midst of the last one
    if file.write(line) != len(line):
        file.truncate(end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_a_line(file: FileIO, end: int) -> bool:
    if not end:
        return True
    file.seek(end - 1)
    return file.read(1) == b"\n"


def read_lines(lines: Iterable[bytes]) -> Iterator[tuple[bytes, FlashMessage]]:
    """Yield each line and its message, without what is none: the last line of a run that was killed while writing."""
    for line in lines:
        try:
            yield line, decode_flash_message(line)
        except msgspec.DecodeError:
            continue


def run_files(folder: Path) -> list[Path]:
    """Return the files of flashes in a run's folder, in the order of time: flashes.jsonl, or one for each month."""
    return sorted(folder.glob("flashes*.jsonl"))


def run_lines(folder: Path) -> Iterator[Flash]:
    """Yield the flashes in a run's folder, each revision that stands there; what cannot be read is left out."""
    for path in run_files(folder):
        try:
            with path.open("rb") as lines:
                for _, message in read_lines(lines):
                    yield message.data
        except OSError:
            continue


def last_revisions(jsonl: Path) -> Iterator[bytes]:
    """Yield the last line of each flash in `jsonl`; never all are in memory, since it may be the file of years."""
    with jsonl.open("rb") as file:
        places: dict[str, int] = {}
        begin = 0
        for line in file:
            for _, message in read_lines([line]):
                places[message.data.id] = begin
            begin += len(line)
        for place in places.values():
            file.seek(place)
            yield file.readline().rstrip(b"\n") + b"\n"
