"""Recordings in object stores and on file servers, read through fsspec and its packages for each kind of store."""

import errno
from collections.abc import Callable
from importlib import import_module
from io import SEEK_SET
from typing import Any

from stream.capture.addresses import redact
from stream.errors import OpenError

STORES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "sftp": "paramiko",
    "local": "fsspec",
}
"""Kinds of addresses, and the package that reads each beside fsspec; logins come from their own files and variables."""


def is_stored(address: str) -> bool:
    """Return whether `address` names something in a store."""
    scheme, url, _ = address.partition("://")
    return bool(url) and scheme.lower() in STORES


class StoredFile:
    """The bytes of a recording in a store, from any place on; `str()` returns its address.

    Attributes:
        start: None: no store states when a recording began.
    """

    start = None

    def __init__(self, address: str) -> None:
        """Open it.

        Raises:
            OpenError: it is not there, or the package for its kind is missing.
        """
        self._address = address
        system, path = _place(address)
        self._file = _asked(address, lambda: system.open(path, "rb"))

    def __str__(self) -> str:
        return self._address

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end.

        Raises:
            OSError: the store does not deliver them.
        """
        try:
            return bytes(self._file.read(size))
        except Exception as error:
            raise OSError(errno.EIO, _reason(error)) from error

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go on at another place, and return it."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the place."""
        return int(self._file.tell())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def stored_files(address: str) -> list[str]:
    """Return the paths of all files in the folder at `address`, below it; none for a file.

    Raises:
        OpenError: it is not there, or the package for its kind is missing.
    """
    system, path = _place(address)
    if _asked(address, lambda: system.isfile(path)):
        return []
    root = path.rstrip("/")
    files = _asked(address, lambda: system.find(root))
    if not files:
        raise OpenError(f"{redact(address)}: there is no such file or folder", permanent=True)
    return sorted(str(file)[len(root) :].lstrip("/") for file in files)


def _place(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    system, path = _asked(address, lambda: import_module("fsspec.core").url_to_fs(address))
    return system, str(path)


def _asked(address: str, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except ImportError as error:
        needed = " ".join(dict.fromkeys(("fsspec", STORES[address.partition("://")[0].lower()])))
        raise OpenError(f"{redact(address)}: needs more: pip install {needed} ({error})", permanent=True) from error
    except FileNotFoundError:
        raise OpenError(f"{redact(address)}: there is no such file or folder", permanent=True) from None
    except Exception as error:  # noqa: BLE001 - each kind of store has errors of its own
        raise OpenError(f"{redact(address)}: cannot be opened: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return redact((str(error).strip().splitlines() or [type(error).__name__])[0])
