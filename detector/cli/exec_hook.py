"""EventCommand: run a user's program for each event, with its JSON on standard input."""

import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from detector.errors import DetectorError

_GRACE_SECONDS = 1.0


class EventCommand:
    """Run `command` once for each event, `jobs` at a time, each for at most `limit_seconds`.

    `run` waits while `jobs` are running. A command that fails or is stopped at its limit is reported by `complain` with
    the event's name, and counted in `failed`; the next event is not affected. `close` waits for running commands.

    Raises:
        DetectorError: the command is empty or its program cannot be found.
    """

    def __init__(self, command: str, *, limit_seconds: float, jobs: int, complain: Callable[[str], None]) -> None:
        self._words = _split(command)
        self._limit_seconds = limit_seconds
        self._complain = complain
        self._free = threading.Semaphore(jobs)
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="hook")
        self.failed = 0

    def run(self, name: str, body: bytes) -> "Future[None]":
        """Start the command for the event `name`, as soon as there is room for it."""
        self._free.acquire()  # returns, since every command has a limit
        future = self._pool.submit(self._run, name, body)
        future.add_done_callback(lambda _: self._free.release())
        return future

    def close(self) -> None:
        """Wait for running commands."""
        self._pool.shutdown()

    def _run(self, name: str, body: bytes) -> None:
        try:
            # In its own session: Ctrl-C here lets it finish, and at the limit its children end with it.
            process = subprocess.Popen(self._words, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            self._fail(f"{name}: cannot run {self._words[0]}: {error.strerror}")
            return
        try:
            process.communicate(body + b"\n", timeout=self._limit_seconds)
        except subprocess.TimeoutExpired:
            what_became = "was stopped" if _end(process) else "may not be stopped: it runs as another user"
            self._fail(f"{name}: {self._words[0]} ran longer than {self._limit_seconds:g} s and {what_became}")
            return
        if process.returncode:
            self._fail(f"{name}: {self._words[0]} ended with code {process.returncode}")

    def _fail(self, text: str) -> None:
        self.failed += 1
        self._complain(text)


def _end(process: "subprocess.Popen[bytes]") -> bool:
    """Return whether `process` has ended; a process that sudo gave to another user cannot be signalled."""
    for name in ("SIGTERM", "SIGKILL"):
        with suppress(ProcessLookupError, PermissionError):
            _signal_group(process, name)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    return process.poll() is not None


def _signal_group(process: "subprocess.Popen[bytes]", name: str) -> None:
    """Send the signal `name` to `process` and its children; on systems without process groups, end it alone."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, getattr(signal, name))
    else:
        process.kill()


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise DetectorError(f"--exec {command!r}: {error}; quote it as in a shell") from error
    if not words:
        raise DetectorError("--exec: no command given, e.g. --exec './siren.sh --short'")
    if shutil.which(words[0]) is None:
        why = "it is not executable (chmod +x)" if Path(words[0]).is_file() else "there is no such program"
        raise DetectorError(f"--exec: cannot run {words[0]}: {why}; give its path, or a name that PATH finds")
    return words
