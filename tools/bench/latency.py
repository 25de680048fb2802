"""How soon a subscriber hears of a flash: a real RTSP camera, `watch` and a subscriber, in processes of their own.

Gives the milliseconds from the arrival of its first lit frame to the `detected` event in the
subscriber's hands, and the seconds from its end to the `confirmed` event. The camera serves a made storm in a loop, at
real-time pace. With --media the same is measured once more with a folder for stills and clips: verdicts must not wait
for them. Needs the GStreamer RTSP server (make setup-dev).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.result import Result
from helpers.rtsp import RtspServer, free_port, missing
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import Subscriber

FLASHES = (
    FlashPlan(kind="sheet", at=2.0),
    FlashPlan(kind="bolt", at=5.0),
    FlashPlan(kind="single", at=8.0),
    FlashPlan(kind="pulses", at=10.0),
)


def seconds_of(utc: str) -> float:
    """Return an ISO 8601 time as seconds since 1970."""
    return datetime.fromisoformat(utc).astimezone(UTC).timestamp()


def watch(loops: int, size: tuple[int, int], *, media: bool = False) -> tuple[list[float], list[float]]:
    """Watch, and subscribe.

    Returns:
        of each flash, ms from arrival to `detected` and seconds from its end to `confirmed`, at the subscriber.
    """
    told: set[str] = set()
    detected: list[float] = []
    confirmed: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "storm.mp4"
        write_clip(Scene(Plan(seconds=12.0, size=size, flashes=FLASHES)), clip, ClipFormat(key_seconds=1.0))
        endpoint = f"tcp://127.0.0.1:{free_port(neighbours=1)}"
        with RtspServer(clip) as camera:
            command = [sys.executable, "-m", "detector", "watch", camera.url, "--publish", endpoint, "--quiet"]
            command += ["--out", str(Path(scratch) / "out")] if media else []
            process = subprocess.Popen([*command, "--verifier", "photometric", "--json"], stdout=subprocess.DEVNULL)
            try:
                with Subscriber(endpoint, since=0) as subscriber:
                    for received in subscriber:
                        now, event = time.time(), received.message
                        if event.type != "lightning.flash.v1":
                            continue
                        on_the_way = now - seconds_of(event.time)
                        if event.data["state"] == "detected":
                            detected.append(event.data["latency_ms"] + 1000 * on_the_way)
                        elif event.data["id"] not in told:  # the revision with the clip comes later
                            told.add(event.data["id"])
                            end = seconds_of(event.data["start_utc"]) + event.data["duration_seconds"]
                            confirmed.append(now - end)
                            print(f"{event.data['state']} {detected[-1]:6.1f} ms  {confirmed[-1]:5.2f} s", flush=True)
                        if len(confirmed) >= loops * len(FLASHES):
                            return detected, confirmed
            finally:
                process.terminate()
                process.wait(timeout=10)
    return detected, confirmed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: how often, how large, and whether with stills and clips."""
    parser.add_argument("--loops", type=int, default=3, help="times 4 flashes in 12 s (default 3)")
    parser.add_argument("--size", default="1280x720", help="of the frames (default 1280x720)")
    parser.add_argument("--media", action="store_true", help="measure with a folder for stills and clips, too")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Measure; whether all were told in time."""
    if reason := missing():
        print(f"bench latency: {reason}", file=sys.stderr)
        return False
    width, height = (int(number) for number in given.size.split("x"))
    good = True
    for media in (False, True) if given.media else (False,):
        detected, confirmed = watch(given.loops, (width, height), media=media)
        result.add(
            stills_and_clips=media,
            flashes=len(detected),
            detected_median_ms=np.median(detected),
            detected_longest_ms=max(detected),
            confirmed_median_s=np.median(confirmed),
            confirmed_longest_s=max(confirmed),
        )
        good &= max(detected) <= 250 and max(confirmed) <= 2
    return good
