"""A recording that is still being written, read while it grows."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_LOOK_SECONDS = 0.1


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
