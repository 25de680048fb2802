"""The lock of a journal, and the numbers given while it could not be written: two files beside it."""

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from stream.errors import JournalError

_WIDTH = 64  # bytes, allocated once and then overwritten: this works on a full disk, too


class JournalLock:
    """Hold the journal at `path` for one publisher.

    `FILE.lock` is locked; the system frees it when the process ends or is killed. `FILE.holder` names the holder and
    the last number given without reaching the journal. There are two files because Windows lets nobody read a locked
    file.

    Raises:
        JournalError: another publisher holds it, or the folder or its disk cannot be written.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock, Timeout  # noqa: PLC0415 - 9 ms of start-up that journals in memory do not need

        if path.is_dir():
            raise JournalError(f"{path}: cannot open the journal: it is a folder; name a file in it")
        self._reserved = ("-", 0)
        holder = path.with_name(path.name + ".holder")
        with ExitStack() as stack:
            lock = FileLock(path.with_name(path.name + ".lock"), timeout=0, mode=0o640, thread_local=False)
            try:
                self._file: BinaryIO = stack.enter_context(_opened(holder))
                lock.acquire()  # last: it would create a missing folder, which opening the holder refuses
                stack.callback(lock.release)
            except Timeout:
                raise JournalError(
                    f"{path}: another publisher (process {_holder_named_in(holder)}) writes this journal; "
                    "give each publisher its own --journal"
                ) from None
            except OSError as error:
                raise JournalError(
                    f"{path}: cannot open the journal: {error.strerror}; check that its folder exists and is writable"
                ) from error
            words = _words(self._file.read(_WIDTH))
            if len(words) == 3 and words[2].isdecimal():
                self._reserved = (words[1], int(words[2]))
            try:
                self._write()
            except OSError as error:
                raise JournalError(f"{holder}: cannot be written: {error.strerror}; free disk space there") from error
            self._stack = stack.pop_all()

    def reserved(self, feed: str) -> int:
        """Return the last number of `feed` that was given without reaching the journal, or 0."""
        return self._reserved[1] if self._reserved[0] == feed else 0

    def reserve(self, feed: str, number: int) -> None:
        """Note that `number` of `feed` was given; never raise, since the disk fails already."""
        self._reserved = (feed, number)
        with suppress(OSError):
            self._write()

    def close(self) -> None:
        """Release the journal; a second call does nothing."""
        self._stack.close()

    def _write(self) -> None:
        line = f"{os.getpid()} {self._reserved[0]} {self._reserved[1]}"
        self._file.seek(0)
        self._file.write(f"{line:<{_WIDTH - 1}}\n".encode("ascii"))


def _opened(path: Path) -> BinaryIO:
    """Open for reading and overwriting, unbuffered; the file is created if missing and never truncated."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o640), "r+b", buffering=0)


def _words(line: bytes) -> list[str]:
    return line.decode("ascii", "replace").split()


def _holder_named_in(path: Path) -> str:
    with suppress(OSError):
        return next(iter(_words(path.read_bytes()[:_WIDTH])), "unknown")
    return "unknown"
