"""A recording that is still being written, read while it grows."""

import struct
import time
from collections.abc import Callable
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

_LOOK_SECONDS = 0.1
_BOX_HEAD = struct.Struct(">I4sQ")  # size, kind, and the size again where four bytes do not hold it


class GrowingFile:
    """The bytes of the file at `path` in order, like a pipe: whoever reads at its end waits for more.

    It ends once nothing came for `patience_seconds` or `stopped()` is true. It is opened with the first read. As text
    it is its path.
    """

    def __init__(self, path: Path, patience_seconds: float, stopped: Callable[[], bool]) -> None:
        self._path = path
        self._patience_seconds = patience_seconds
        self._stopped = stopped
        self._file: BinaryIO | None = None

    def __str__(self) -> str:
        return str(self._path)

    def is_finished_mp4(self) -> bool:
        """Whether it is an MP4 that is complete, its index behind its pictures, which no pipe can read."""
        try:
            with self._path.open("rb") as file:
                total, place, pictures = file.seek(0, SEEK_END), 0, False
                while place + _BOX_HEAD.size <= total:
                    file.seek(place)
                    size, kind, large = _BOX_HEAD.unpack(file.read(_BOX_HEAD.size))
                    if size == 1:
                        size = large
                    place += size
                    if kind == b"moov" or size < 8:  # a box without a size goes on to the end
                        return pictures and size >= 8 and place <= total
                    pictures |= kind == b"mdat"
        except OSError:
            return False  # whoever opens it says why
        return False

    def read(self, size: int) -> bytes:
        """At most `size` bytes and at least one; none at the end.

        Raises:
            OSError: it cannot be opened or read.
        """
        if self._file is None:
            self._file = self._path.open("rb")
        patient_until = time.monotonic() + self._patience_seconds
        while not self._stopped():
            data = self._file.read(size)
            if data or time.monotonic() >= patient_until:
                return data
            time.sleep(_LOOK_SECONDS)
        return b""

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
