"""A command of this program in a process of its own that is restarted whenever it ends."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from stream import Backoff

_log = logging.getLogger(__name__)


class ChildProcess:
    """A command in a process of its own. If it ends or hangs, its owner is not affected; `check` restarts it.

    Args:
        name: what it is, for the log.
        arguments: returns the words after `lightning-detector`, asked at each start.
        end_seconds: how long its clean end may take.
        environment: its environment; None: that of this process.
        on_line: called in a thread of its own with each line that it writes to stderr, which nobody else sees then.
        folder: its current folder; then nothing of it goes to stdout, and no terminal's signal reaches it.
    """

    def __init__(
        self,
        name: str,
        arguments: Callable[[], Sequence[str]],
        end_seconds: float,
        *,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._name = name
        self._arguments = arguments
        self._end_seconds = end_seconds
        self._environment = environment
        self._on_line = on_line
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff(1.0, 60.0)
        self._begun = 0.0
        self._due = 0.0

    @property
    def runs(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process is not None and self._process.poll() is None

    @contextmanager
    def running(self) -> "Iterator[ChildProcess]":
        """Run the process inside the block."""
        try:
            self.check()
            yield self
        finally:
            self.end()

    def check(self) -> None:
        """Restart the process if it has ended and its pause is over; never raise."""
        now = time.monotonic()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                if now - self._begun > 60.0:
                    self._backoff.reset()
                return
            _close_input(self._process)
            self._process = None
            wait = self._backoff.next_wait()
            self._due = now + wait
            _log.warning("%s ended with code %d; it is started again in %.0f s", self._name, code, wait)
        if now >= self._due:
            try:
                self._process = self._start()
                self._begun = now
            except OSError as error:
                self._due = now + self._backoff.next_wait()
                _log.error("%s cannot be started: %s", self._name, error.strerror)

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it has ended, which `check` sees
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()

    def end(self) -> None:
        """End it, killing it where it takes too long; `check` would start it again."""
        process, self._process = self._process, None
        if process is None:
            return
        _close_input(process)
        try:
            process.wait(self._end_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        # It ends when its standard input does, so also if this process is killed.
        words = [sys.executable, "-m", "detector", *self._arguments(), "--until-stdin-closes"]
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=None if self._folder is None else subprocess.DEVNULL,
            stderr=None if self._on_line is None else subprocess.PIPE,
            env=None if self._environment is None else dict(self._environment),
            cwd=self._folder,
            start_new_session=self._folder is not None,
        )
        if self._on_line is not None and process.stderr is not None:
            threading.Thread(target=_read, args=(process.stderr, self._on_line), name="stderr", daemon=True).start()
        return process


def _read(stderr: IO[bytes], on_line: Callable[[str], None]) -> None:
    with stderr:
        for line in stderr:
            on_line(line.decode(errors="replace").rstrip())


def _close_input(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with suppress(OSError):  # what waited in it for a process that has ended
            process.stdin.close()
