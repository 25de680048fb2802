"""How many recordings are watched at once, and where."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from detector.run.recordings import Recording

LOCAL = "local"
"""The address of a cluster of this machine alone, which lives as long as the run."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which cluster does the work, and how much at once.

    Attributes:
        address: of the cluster, `auto` for one that runs here, `local` for one of its own.
        jobs: files watched at once; 0: as many as the cluster has cores.
    """

    address: str
    jobs: int


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_cameras(recordings: Sequence[Recording], names: Sequence[str]) -> list[Recording]:
    """Return `recordings`, each with the name of its camera."""
    return [replace(recording, camera=name) for recording, name in zip(recordings, names, strict=True)]
