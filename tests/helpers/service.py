"""A program that runs for long, and is ended as a service manager ends it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil


@contextmanager
def ended_like_a_service(process: "subprocess.Popen[bytes]") -> Iterator[psutil.Process]:
    """Send SIGTERM after the block; the process must end well, unless the block killed it."""
    try:
        yield psutil.Process(process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(120) in (0, -signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
