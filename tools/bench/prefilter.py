"""What the prefilter costs beside decoding the same frames in the same run, and what it holds between them."""

import argparse
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np

from bench.clips import make_storm
from bench.result import Result
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from storm import PlanError, WriteError
from stream import OpenError, VideoError, open_video

SHARE_GOAL, STATE_GOAL_MB = 0.10, 5.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one clip: its frames, the CPU milliseconds for decoding and for prefiltering one, and the most held."""

    frames: int
    size: str
    decode_ms: float
    prefilter_ms: float
    state_mb: float

    @property
    def share(self) -> float:
        """Return the prefilter's time over that of decoding."""
        return self.prefilter_ms / self.decode_ms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: clips, or what to make, and how it is decoded."""
    parser.add_argument("clips", nargs="*", type=Path, help="clips (default: a made storm, 1080p at 25/s in H.264)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the made storm (default %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=1, help="of the decoder; 0: one per core, as shipped (default %(default)s)"
    )


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Measure each clip; whether both goals hold for every one."""
    cv2.setNumThreads(1)
    good = True
    with tempfile.TemporaryDirectory(prefix="bench-prefilter-") as folder:
        try:
            for clip in given.clips or [make_storm(Path(folder) / "storm.mp4", given.seconds)]:
                cost = cost_of(clip, given.threads)
                result.add(clip=clip.name, **asdict(cost), share=cost.share)
                good &= cost.share <= SHARE_GOAL and cost.state_mb <= STATE_GOAL_MB
        except (OpenError, VideoError, WriteError, PlanError) as error:
            print(f"bench prefilter: {error}", file=sys.stderr)
            return False
    return good


def cost_of(clip: Path, threads: int = 1) -> Cost:
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
            # Between flashes: the frames of an open candidate are the candidate's, and leave with it.
            if count % 10 == 0 and prefilter.quiet:
                most = max(most, held_bytes(prefilter))
            push, other = push + pushed - decoded, other + time.thread_time() - pushed
    decode = time.process_time() - began - push - other
    if not count:
        raise VideoError(f"{clip}: no frame in it; give another clip")
    return Cost(count, size, 1e3 * decode / count, 1e3 * push / count, most / 1e6)


def held_bytes(root: object) -> int:
    """Return the memory of all arrays and decoded frames that `root` leads to, each once."""
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
