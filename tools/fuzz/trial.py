"""One replay in a forked process: its exit code, its messages, its memory and its time."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detector.cli import run_replay as _replay  # noqa: F401 - loaded once, before the forks
from detector.cli.main import main as run_program
from detector.verify.photometric import verifier as _verifier  # noqa: F401 - the same


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one replay.

    Attributes:
        code: exit code; negative if a signal ended it.
        errors: output on stderr.
        confirmed: flashes confirmed.
        peak_mb: most memory used, in MB.
        seconds: duration.
        hung: whether it was killed because it did not end by itself.
    """

    code: int
    errors: str
    confirmed: int
    peak_mb: float
    seconds: float
    hung: bool

    def faults(self, limit_mb: float) -> list[str]:
        """Return the faults of the outcome."""
        found = []
        if "Traceback" in self.errors:
            found.append("traceback")
        if self.hung:
            found.append("hang")
        elif self.code not in (0, 1):
            found.append(f"exit {self.code}")
        elif self.code == 1 and not self.errors.strip():
            found.append("failed in silence")
        if self.peak_mb > limit_mb:
            found.append(f"{self.peak_mb:.0f} MB")
        if self.confirmed:
            found.append(f"{self.confirmed} confirmed")
        return found


class Trial:
    """A replay of one file, running in a forked process.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, limit_seconds: float) -> None:
        """Start the replay; it is killed after `limit_seconds`."""
        self.path = path
        self._out, self._err = path.with_suffix(".out"), path.with_suffix(".err")
        self._began = time.monotonic()
        self._limit = limit_seconds
        self._hung = False
        sys.stdout.flush()
        self._child = os.fork()
        if not self._child:
            self._run()

    def _run(self) -> None:
        code = 70
        try:
            for number, file in ((1, self._out), (2, self._err)):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            code = run_program(["replay", str(self.path), "--verifier", "photometric", "--json", "--quiet"])
        except BaseException:  # noqa: BLE001 - it is what the trial looks for
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)

    def outcome(self) -> Outcome | None:
        """Return the outcome; None while it runs."""
        ended, status, usage = os.wait4(self._child, os.WNOHANG)
        seconds = time.monotonic() - self._began
        if not ended:
            if seconds > self._limit and not self._hung:
                self._hung = True
                os.kill(self._child, signal.SIGKILL)
            return None
        made = Outcome(
            code=os.waitstatus_to_exitcode(status),
            errors=self._err.read_text(errors="replace") if self._err.exists() else "",
            confirmed=_confirmed(self._out.read_bytes() if self._out.exists() else b""),
            peak_mb=usage.ru_maxrss / 1024,
            seconds=seconds,
            hung=self._hung,
        )
        for file in (self._out, self._err):
            file.unlink(missing_ok=True)
        return made


def _confirmed(lines: bytes) -> int:
    last: dict[str, str] = {}
    for line in lines.splitlines():
        data = msgspec.json.decode(line)["data"]
        last[data["id"]] = data["state"]
    return sum(state == "confirmed" for state in last.values())
