"""flashes.jsonl: write it line by line, even if the disk fails or the file is moved meanwhile, and read it."""

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

_ROOM = 10_000  # lines that may wait in memory for a disk: about 20 MB


class JsonlWriter:
    """The file at `path`, to which `catch_up` appends the lines given to `hold`.

    Lines that cannot be written wait in memory and follow later, in order. If the file was moved or deleted meanwhile
    (archived, or replaced by another run at its end), a new one is started.

    Attributes:
        lost: number of lines that were dropped because too many waited.
    """

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._path = path
        self._file: FileIO | None = None
        self._waiting: deque[bytes] = deque()

    @property
    def waiting(self) -> int:
        """Number of lines that are not written yet."""
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
        """Write the waiting lines to the file, which is created if missing.

        Raises:
            OSError: the file cannot be written now; the lines wait.
        """
        file = self._open()
        while self._waiting:
            append_line(file, self._waiting[0])
            self._waiting.popleft()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
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
    """Return whether `file` is still the file at `path`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def append_line(file: FileIO, line: bytes) -> None:
    """Append `line` completely or not at all, on a line of its own, since half a line would damage the next.

    Args:
        file: opened for reading and appending, without a buffer.
        line: with its line end.

    Raises:
        OSError: the line cannot be written.
    """
    end = os.fstat(file.fileno()).st_size
    if not _ends_a_line(file, end):
        line = b"\n" + line  # after a power failure, or a kill in the middle of the last line
    if file.write(line) != len(line):
        file.truncate(end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_a_line(file: FileIO, end: int) -> bool:
    if not end:
        return True
    file.seek(end - 1)
    return file.read(1) == b"\n"


def read_lines(lines: Iterable[bytes]) -> Iterator[tuple[bytes, FlashMessage]]:
    """Yield each line and its message, without incomplete lines, as a killed run may leave at the end."""
    for line in lines:
        try:
            yield line, decode_flash_message(line)
        except msgspec.DecodeError:
            continue


def run_files(folder: Path) -> list[Path]:
    """Return the files of flashes in a run's folder, by time: flashes.jsonl, or one for each month."""
    return sorted(folder.glob("flashes*.jsonl"))


def run_lines(folder: Path) -> Iterator[Flash]:
    """Yield the flashes in a run's folder, each revision in the files; unreadable lines are left out."""
    for path in run_files(folder):
        try:
            with path.open("rb") as lines:
                for _, message in read_lines(lines):
                    yield message.data
        except OSError:
            continue


def last_revisions(jsonl: Path) -> Iterator[bytes]:
    """Yield the last line of each flash in `jsonl`, without holding all in memory, since the file may cover years."""
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
