"""The file beside a journal: whose journal it is now, and which numbers were given while it could not be written."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from stream.errors import JournalError

_WIDTH = 64  # written at once and then only overwritten: that works on a full disk, too


class JournalLock:
    """Holds `path` + ".lock"; the system frees it even when the process is killed.

    Raises:
        JournalError: another publisher holds it, or the folder or its disk cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise JournalError(f"{path}: cannot open the journal: it is a folder; name a file in it")
        beside = path.with_name(path.name + ".lock")
        try:
            self._handle: int | None = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalError(
                f"{path}: cannot open the journal: {error.strerror}; check that its folder exists and is writable"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = (self._words() or ["unknown"])[0]
            self.close()
            raise JournalError(
                f"{path}: another publisher (process {holder}) writes this journal; "
                "give each publisher its own --journal"
            ) from None
        _, feed, number = words if len(words := self._words()) == 3 else ("", "-", "0")
        self._given = (feed, int(number) if number.isdecimal() else 0)
        try:
            self._write()
        except OSError as error:
            self.close()
            raise JournalError(f"{beside}: cannot be written: {error.strerror}; free disk space there") from error

    def given(self, feed: str) -> int:
        """The last number of `feed` that was given without getting into the journal; 0 if none was noted."""
        return self._given[1] if self._given[0] == feed else 0

    def reserve(self, feed: str, number: int) -> None:
        """Note that `number` of `feed` was given; never raises, for the disk is in trouble already."""
        self._given = (feed, number)
        with suppress(OSError):
            self._write()

    def close(self) -> None:
        """Let go; it may be called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _words(self) -> list[str]:
        return os.pread(self._handle, _WIDTH, 0).decode("ascii", "replace").split() if self._handle is not None else []

    def _write(self) -> None:
        if self._handle is not None:
            line = f"{os.getpid()} {self._given[0]} {self._given[1]}"
            os.pwrite(self._handle, f"{line:<{_WIDTH - 1}}\n".encode("ascii"), 0)
