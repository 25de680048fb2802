"""The gateway's process: it handles untrusted input only, in bounded memory.

Usage: python -m stream.feed.gateway.worker LINK EVENTS HISTORY (numbers of inherited sockets)
"""

import signal
import socket
import sys
from contextlib import suppress

from stream.feed.gateway.client import Role
from stream.feed.gateway.link import Link
from stream.feed.gateway.server import Server

_MEMORY_BYTES = 256 * 2**20  # beyond the memory mapped at the start; far above the server's own limits


def main() -> None:
    """Serve on the inherited sockets until the publisher ends this process or is gone."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the publisher ends this process; if it dies, the link breaks
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _limit_memory()
    link, *listeners = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    serve(link, dict(zip(Role, listeners, strict=True)))


def serve(link: socket.socket, listeners: dict[Role, socket.socket]) -> None:
    """Serve on these sockets until the link ends, then close them all."""
    for listener in listeners.values():
        listener.settimeout(0)
    try:
        Server(Link(link), listeners).run()
    finally:
        for one in (link, *listeners.values()):
            one.close()


def _limit_memory() -> None:
    """Limit the address space, and raise the limit of open files, on systems that can."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - missing on Windows

        with open("/proc/self/statm", encoding="ascii") as facts:  # noqa: PTH123 - not a file on a disk
            mapped = int(facts.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        resource.setrlimit(resource.RLIMIT_AS, (mapped + _MEMORY_BYTES, mapped + _MEMORY_BYTES))


if __name__ == "__main__":
    main()
