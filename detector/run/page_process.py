"""The page of `watch --page`: a separate process that is restarted whenever it ends."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stream import Backoff

_log = logging.getLogger(__name__)

_END_SECONDS = 5.0  # grace for its open connections


class PageProcess:
    """The process of `lightning-detector page ...`. If it ends or hangs, no camera is affected; `check` restarts it.

    Args:
        arguments: arguments of the command `page`.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        # It ends when its standard input does, so also if this process is killed.
        self._words = [sys.executable, "-m", "detector", "page", *arguments, "--until-stdin-closes"]
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff(1.0, 60.0)
        self._begun = 0.0
        self._due = 0.0

    @contextmanager
    def running(self) -> "Iterator[PageProcess]":
        """Run the process inside the block."""
        try:
            self.check()
            yield self
        finally:
            self._end()

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
            _log.warning("the page ended with code %d; it is started again in %.0f s", code, wait)
        if now >= self._due:
            try:
                self._process = subprocess.Popen(self._words, stdin=subprocess.PIPE, env=dict(os.environ))
                self._begun = now
            except OSError as error:
                self._due = now + self._backoff.next_wait()
                _log.error("the page cannot be started: %s", error.strerror)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _close_input(process)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _close_input(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
