"""Recordings that are read once, while they are written: a growing file, and standard input."""

import os
import select
import struct
import sys
import time
from collections.abc import Callable
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

_POLL_SECONDS = 0.1
_BOX_HEAD = struct.Struct(">I4sQ")  # size, kind, and a long size if four bytes are too few


class GrowingFile:
    """The bytes of a file in order, like a pipe: a read at its end waits for more.

    The file is opened by the first read. `str()` returns its path.
    """

    def __init__(self, path: Path, patience_seconds: float, stopped: Callable[[], bool]) -> None:
        """Prepare to read the file at `path`.

        Args:
            path: the file.
            patience_seconds: the file ends once nothing was added for this long.
            stopped: called before each read; the file ends once it returns true.
        """
        self._path = path
        self._patience_seconds = patience_seconds
        self._stopped = stopped
        self._file: BinaryIO | None = None
        self._ended = False  # FFmpeg reads again after the end, which must not wait once more

    def __str__(self) -> str:
        return str(self._path)

    def is_finished_mp4(self) -> bool:
        """Return whether the file is a complete MP4 with its index at the end, which cannot be read as a pipe."""
        try:
            with self._path.open("rb") as file:
                total, position, media = file.seek(0, SEEK_END), 0, False
                while position + _BOX_HEAD.size <= total:
                    file.seek(position)
                    size, kind, large = _BOX_HEAD.unpack(file.read(_BOX_HEAD.size))
                    if size == 1:
                        size = large
                    position += size
                    if kind == b"moov" or size < 8:  # a box without a size extends to the end
                        return media and size >= 8 and position <= total
                    media |= kind == b"mdat"
        except OSError:
            return False  # opening it will report the error
        return False

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes and at least one; none at the end.

        Raises:
            OSError: the file cannot be opened or read.
        """
        if self._file is None:
            self._file = self._path.open("rb")
        patient_until = time.monotonic() + self._patience_seconds
        while not (self._ended or self._stopped()):
            data = self._file.read(size)
            if data:
                return data
            self._ended = time.monotonic() >= patient_until
            time.sleep(_POLL_SECONDS)
        return b""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class StandardInput(GrowingFile):
    """The bytes that another program writes to this one; `str()` names them."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        """Prepare to read; `stopped` is called while nothing comes, and ends the input once it returns true."""
        super().__init__(Path("standard input"), 0.0, stopped)
        self._number = sys.stdin.fileno()

    def is_finished_mp4(self) -> bool:
        """Return False: the content is not known yet."""
        return False

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes and at least one; none at the end."""
        while not self._stopped():
            # Windows can only wait for sockets: there a stop is noticed when the next bytes come.
            if sys.platform == "win32" or select.select([self._number], [], [], _POLL_SECONDS)[0]:
                return os.read(self._number, size)
        return b""
