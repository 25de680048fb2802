"""Keep a process that encodes an ordinary one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Give this thread back the scheduling that it had before the block.

    The encoder SVT-AV1, where root runs it, makes the thread that opens it real-time (SCHED_FIFO, 99). Left so, that
    thread and every process that it starts would keep all others from running.

    Yields:
        nothing.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
