#!/usr/bin/env python3
"""How soon a subscriber hears of a flash: a real RTSP camera, `watch` and a subscriber, in processes of their own.

Prints, for each flash, the milliseconds from the arrival of its first lit frame to the `detected` event in the
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

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

from helpers.rtsp import RtspServer, free_port, missing  # noqa: E402
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip  # noqa: E402 - found through the path above
from stream import Subscriber  # noqa: E402

FLASHES = (
    FlashPlan(kind="sheet", at=2.0),
    FlashPlan(kind="bolt", at=5.0),
    FlashPlan(kind="single", at=8.0),
    FlashPlan(kind="pulses", at=10.0),
)


def seconds_of(utc: str) -> float:
    """An ISO 8601 time as seconds since 1970."""
    return datetime.fromisoformat(utc).astimezone(UTC).timestamp()


def measure(loops: int, size: tuple[int, int], *, media: bool = False) -> tuple[list[float], list[float]]:
    """(ms from arrival to `detected`, seconds from the end to `confirmed`) of each flash, in the subscriber's hands."""
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
            watch = subprocess.Popen([*command, "--verifier", "photometric", "--json"], stdout=subprocess.DEVNULL)
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
                watch.terminate()
                watch.wait(timeout=10)
    return detected, confirmed


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", type=int, default=3, help="times 4 flashes in 12 s (default 3)")
    parser.add_argument("--size", default="1280x720", help="of the picture (default 1280x720)")
    parser.add_argument("--media", action="store_true", help="measure with a folder for stills and clips, too")
    arguments = parser.parse_args()
    if reason := missing():
        print(f"bench_watch: {reason}", file=sys.stderr)
        return 1
    width, height = (int(number) for number in arguments.size.split("x"))
    good = True
    for media in (False, True) if arguments.media else (False,):
        detected, confirmed = measure(arguments.loops, (width, height), media=media)
        print(f"{len(detected)} flashes, {'with stills and clips' if media else 'without media'}")
        print(
            f"detected after arrival:  median {np.median(detected):.0f} ms, longest {max(detected):.0f} ms (limit 250)"
        )
        print(f"confirmed after its end: median {np.median(confirmed):.2f} s, longest {max(confirmed):.2f} s (limit 2)")
        good &= max(detected) <= 250 and max(confirmed) <= 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
