"""Messages to the service manager by systemd's notify protocol; none without systemd."""

import os
import socket
import time
from collections.abc import Mapping


class ServiceManager:
    """Tell systemd (`Type=notify`, `WatchdogSec=`) that the program is ready, alive, reloading or stopping.

    It does nothing if NOTIFY_SOCKET is not set. Messages that cannot be sent are dropped.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        micro = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        # Half of the limit, as sd_watchdog_enabled(3) advises.
        self._every = int(micro) / 2e6 if micro.isdecimal() and ours else None
        self._next = 0.0

    def ready(self, status: str) -> None:
        """Say that the program is ready."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that settings are reloaded; `ready` ends that state."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the program is stopping."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Say that the program is alive, if that is due; otherwise systemd restarts it."""
        now = time.monotonic()
        if self._every is not None and now >= self._next:
            self._next = now + self._every
            self._send("WATCHDOG=1")

    def _send(self, words: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(1.0)
                out.connect(self._address)
                out.send(words.encode())
        except OSError:
            pass  # the next message may arrive
