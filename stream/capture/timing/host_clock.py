"""This computer's clock: whether it is synchronised, and the bound on its error."""

import ctypes
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_STA_UNSYNC = 0x0040  # linux/timex.h: the clock is not synchronised
_TIME_ERROR = 5  # adjtimex's return value for the same
_REREAD_SECONDS = 30.0
_COMMAND_SECONDS = 2.0


class _Timex(ctypes.Structure):
    """Linux's struct timex (adjtimex(2)); times in microseconds."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),  # more than any kernel version writes
    )


@dataclass(frozen=True, slots=True)
class HostClock:
    """The operating system's report about its clock.

    Attributes:
        synchronised: whether a service (chrony, ntpd, systemd-timesyncd) synchronises it; None if unknown.
        error_ms: the largest error that the system states, in milliseconds, or None if unknown.
        source: where the report comes from: adjtimex or timedatectl, or None.
    """

    synchronised: bool | None = None
    error_ms: float | None = None
    source: Literal["adjtimex", "timedatectl"] | None = None

    def __str__(self) -> str:
        """Return the report in words, with what to do."""
        if self.synchronised:
            error = "" if self.error_ms is None else f", to {self.error_ms:.0f} ms at worst"
            return f"synchronised{error} ({self.source})"
        if self.synchronised is None:
            return "this system does not say whether its clock is synchronised"
        return (
            f"not synchronised ({self.source}), so times may be off by seconds; turn on a time service: "
            "timedatectl set-ntp true, or install chrony"
        )


def read_host_clock(*, kernel: bool = True) -> HostClock:
    """Ask the operating system about its clock: the kernel (adjtimex), or otherwise timedatectl.

    Args:
        kernel: whether the kernel is asked; some containers forbid it.

    Returns:
        whether the clock is synchronised, and its error.
    """
    asked = _ask_kernel() if kernel else HostClock()
    return _ask_timedatectl() if asked.synchronised is None else asked


def _ask_kernel() -> HostClock:
    if sys.platform != "linux":
        return HostClock()
    answer = _Timex()
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.byref(answer))
    except (OSError, AttributeError):
        return HostClock()
    if state < 0:  # forbidden in some containers
        return HostClock()
    if state == _TIME_ERROR or answer.status & _STA_UNSYNC:
        return HostClock(synchronised=False, source="adjtimex")
    return HostClock(synchronised=True, error_ms=answer.maxerror / 1000.0, source="adjtimex")


def _ask_timedatectl() -> HostClock:
    import subprocess  # noqa: PLC0415 - few systems are asked this way

    command = shutil.which("timedatectl")
    if command is None:
        return HostClock()
    try:
        done = subprocess.run(
            [command, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return HostClock()
    said = {"yes": True, "no": False}.get(done.stdout.strip())
    return HostClock() if said is None else HostClock(synchronised=said, source="timedatectl")


class HostClockError:
    """The bound on the error of this computer's clock, read again every half minute.

    Attributes:
        synchronised: whether the clock was synchronised when it was last read.
    """

    def __init__(
        self,
        unsynchronised_ms: float,
        read: Callable[[], HostClock] = read_host_clock,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without a reading.

        Args:
            unsynchronised_ms: assumed error of a clock that is not synchronised.
            read: asks the operating system.
            now: returns monotonic seconds.
        """
        self.synchronised: bool | None = None
        self._unsynchronised_ms = unsynchronised_ms
        self._read = read
        self._now = now
        self._read_at = float("-inf")
        self._error_ms = 0.0

    def ms(self) -> float:
        """Return the bound in milliseconds; 0 if a synchronised clock's error is not stated."""
        now = self._now()
        if now - self._read_at >= _REREAD_SECONDS:
            self._read_at = now
            clock = self._read()
            self.synchronised = clock.synchronised
            if clock.synchronised:
                self._error_ms = clock.error_ms or 0.0
            else:
                self._error_ms = self._unsynchronised_ms
        return self._error_ms
