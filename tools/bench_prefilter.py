#!/usr/bin/env python3
"""What the prefilter costs beside decoding the same pictures in the same run, and what it holds between them."""

import argparse
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.clips import make_storm as make
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from storm import PlanError, WriteError
from stream import OpenError, VideoError, open_video

SHARE_GOAL, STATE_GOAL_MB = 0.10, 5.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one clip: its pictures, the CPU milliseconds for decoding and for prefiltering one, and the most held."""

    pictures: int
    size: str
    decode_ms: float
    prefilter_ms: float
    state_mb: float

    @property
    def share(self) -> float:
        """The prefilter's time over that of decoding."""
        return self.prefilter_ms / self.decode_ms


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="bench_prefilter.py", description=__doc__)
    made.add_argument("clips", nargs="*", type=Path, help="clips (default: a made storm, 1080p at 25/s in H.264)")
    made.add_argument("--seconds", type=float, default=8.0, help="of the made storm (default %(default)s)")
    made.add_argument(
        "--threads", type=int, default=1, help="of the decoder; 0: one per core, as shipped (default %(default)s)"
    )
    return made


def main() -> int:
    """Measure and print; 0 if both goals hold for every clip, 1 if not or if a clip cannot be read."""
    given = parser().parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="bench-prefilter-") as folder:
        try:
            clips = given.clips or [make(Path(folder) / "storm.mp4", given.seconds)]
            costs = {clip.name: measure(clip, given.threads) for clip in clips}
        except (OpenError, VideoError, WriteError, PlanError) as error:
            print(f"bench_prefilter.py: {error}", file=sys.stderr)
            return 1
    threads = given.threads or "one per core"
    table = Table(title=f"Prefilter against decoding (CPU time of the same run, decoder threads: {threads})")
    for column in ("clip", "size", "pictures", "decode ms", "prefilter ms", "share", "held MB"):
        table.add_column(column, justify="left" if column == "clip" else "right")
    for name, cost in costs.items():
        times = (f"{cost.decode_ms:.2f}", f"{cost.prefilter_ms:.2f}", f"{cost.share:.1%}", f"{cost.state_mb:.2f}")
        table.add_row(name, cost.size, str(cost.pictures), *times)
    Console(markup=False, width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if all(cost.share <= SHARE_GOAL and cost.state_mb <= STATE_GOAL_MB for cost in costs.values()) else 1


def measure(clip: Path, threads: int = 1) -> Cost:
    """Decode `clip` with so many threads, and push each frame in this one.

    Returns:
        the cost of decoding and of the prefilter.

    Raises:
        OpenError: it cannot be opened.
        VideoError: it cannot be read.
    """
    settings = load_settings()
    prefilter = Prefilter("bench", settings.prefilter)
    push, other, most, count, size = 0.0, 0.0, 0, 0, ""
    began = time.process_time()
    with open_video(clip, options=msgspec.structs.replace(settings.capture, file_threads=threads)) as video:
        for frame in video:
            decoded = time.thread_time()
            prefilter.push(frame)
            pushed = time.thread_time()
            size, count = f"{frame.luma.shape[1]}x{frame.luma.shape[0]}", count + 1
            # Between flashes: the pictures of an open candidate are the candidate's, and leave with it.
            if count % 10 == 0 and prefilter.quiet:
                most = max(most, held_bytes(prefilter))
            push, other = push + pushed - decoded, other + time.thread_time() - pushed
    decode = time.process_time() - began - push - other
    if not count:
        raise VideoError(f"{clip}: no picture in it; give another clip")
    return Cost(count, size, 1e3 * decode / count, 1e3 * push / count, most / 1e6)


def held_bytes(root: object) -> int:
    """Memory of all arrays and decoded pictures that `root` leads to, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [root]
    total = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            total += one.nbytes if one.base is None else 0  # else a view of what is counted elsewhere
            waiting += [] if one.base is None else [one.base]
        elif isinstance(one, av.VideoFrame):
            total += sum(plane.buffer_size for plane in one.planes)
        elif isinstance(one, partial):
            waiting += one.args
        elif isinstance(one, (list, tuple, deque)):
            waiting += one
        else:
            waiting += getattr(one, "__dict__", {}).values()
            waiting += [getattr(one, name, None) for name in getattr(type(one), "__slots__", ())]
    return total


if __name__ == "__main__":
    sys.exit(main())
