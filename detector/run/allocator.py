"""Bound what glibc's allocator keeps of what was freed: cameras are opened again for months."""

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8  # of glibc's malloc.h
_ARENAS = 2


def share_arenas() -> bool:
    """Let all threads of this process allocate from few arenas; call it before threads start.

    By default glibc gives threads up to eight arenas a core and keeps the freed parts of each: each camera that is
    reopened has new threads, so the process would grow although nothing leaks.

    Returns:
        whether the C library accepted the limit.
    """
    if sys.platform != "linux":
        return False
    with suppress(OSError, AttributeError):  # not glibc
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    return False


def return_freed_memory() -> bool:
    """Return free pages of the heap to the system, and say whether there were any.

    Otherwise glibc keeps them while memory above them is in use, as after the end of a camera with its buffers.

    Returns:
        whether any pages were returned.
    """
    if sys.platform != "linux":
        return False
    with suppress(OSError, AttributeError):  # another C library
        return bool(ctypes.CDLL(None).malloc_trim(0))
    return False
