"""Ports for servers of tests: below those that the system gives to connections, and not the same in two processes."""

import itertools
import os
import random
import socket

FIRST, LAST = 15_000, 32_000  # Linux gives connections ports from 32768 on: nobody takes one of these in between

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_SHARE = (LAST - FIRST) // _WORKERS
# Two runs at the same time begin at different places.
_numbers = itertools.count(random.SystemRandom().randrange(_SHARE))


def free_port(neighbours: int = 0) -> int:
    """Return a TCP port of this machine that is free, and so are as many `neighbours` above it."""
    while True:
        ports = [FIRST + _WORKER * _SHARE + next(_numbers) % _SHARE for _ in range(neighbours + 1)]
        if ports == list(range(ports[0], ports[0] + neighbours + 1)) and all(map(_is_free, ports)):
            return ports[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
