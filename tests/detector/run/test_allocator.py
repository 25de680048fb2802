"""Threads share few of the C library's arenas, and what they freed goes back to the system."""

import subprocess
import sys

import pytest

ARENAS_OF_EIGHT_THREADS = """
import ctypes, sys, threading
if sys.argv[1] == "share":
    from detector.run.allocator import share_arenas
    assert share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(8)
def allocate():
    together.wait()
    for _ in range(1000):
        libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def arenas(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", ARENAS_OF_EIGHT_THREADS, how], capture_output=True, text=True, check=True
    )
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc_info")
def test_eight_threads_allocate_from_two_arenas_instead_of_one_each() -> None:
    assert arenas("default") > 2
    assert arenas("share") == 2


FREED_BELOW_WHAT_IS_IN_USE = """
import psutil
from detector.run.allocator import return_freed_memory
blocks = [bytearray(100_000) for _ in range(1000)]
last = bytearray(1000)
before = psutil.Process().memory_info().rss
del blocks
assert return_freed_memory()
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc_trim")
def test_memory_freed_below_what_is_in_use_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREED_BELOW_WHAT_IS_IN_USE], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 90e6
