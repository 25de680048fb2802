#!/usr/bin/env python3
"""Run one camera through a scripted day of faults in a few minutes, and print the effects.

A real RTSP server sends made storms through a proxy that loses, damages and delays packets. While it is killed,
frozen, muted and changed, the program watches as usual: capture, prefilter, photometric verifier. Printed for each
fault: how soon it was noticed, how soon frames came again, frames lost and marked. At the end: flashes shown and
confirmed, false events, memory, threads and open files. Exit code 1 if a requirement did not hold.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from detector.settings import load_settings  # noqa: E402
from detector.verify.batcher import Batcher  # noqa: E402
from detector.verify.photometric.verifier import PhotometricVerifier  # noqa: E402
from helpers.mangler import Faults, Mangler  # noqa: E402 - the tests' own camera and proxy
from helpers.rtsp import RtspServer, missing, wait_for  # noqa: E402
from helpers.truth import Seen, Span, flashes_shown, matches, sent  # noqa: E402
from stream import Camera, CameraStatus  # noqa: E402

FLASHES = ["sheet@3", "bolt@7", "pulses@11", "sheet@15", "bolt@18"]
CLIP_SECONDS = 20
GROWN_MB_ALLOWED = 30


@dataclass
class Watched(Seen):
    """The frames of the camera's thread, and the camera's states with the time of each."""

    states: list[tuple[float, CameraStatus]] = field(default_factory=list)

    def first_after(self, moment: float) -> float | None:
        """Return the seconds from `moment` to the next frame."""
        return next((when - moment for when, _ in self.arrivals if when > moment), None)


class Stage:
    """The camera under test: a server, the proxy before it, and the truth of what was shown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shown: list[tuple[Path, list[Span]]] = []
        self._clips = {size: self._make(size) for size in ("640x360", "960x540")}
        self._size = "640x360"
        self.server = RtspServer(None)
        self.start()
        self.mangler = Mangler(self.server.port)

    def _make(self, size: str) -> tuple[Path, list[Span]]:
        clip, labels = self._folder / f"{size}.mp4", self._folder / f"{size}.json"
        command = [sys.executable, str(ROOT / "tools/make_storm.py"), str(clip), "--labels", str(labels)]
        command += ["--seconds", str(CLIP_SECONDS), "--size", size, *(word for f in FLASHES for word in ("--flash", f))]
        subprocess.run(command, check=True, capture_output=True)
        spans = json.loads(labels.read_text())[clip.name]["flashes"]
        return clip, [(begin, end) for begin, end in spans]

    def start(self, size: str | None = None) -> None:
        """Run the server, with frames of another `size` if given."""
        self._size = size or self._size
        clip, spans = self._clips[self._size]
        log = self._folder / f"{len(self._shown)}.log"
        log.touch()
        self._shown.append((log, spans))
        self.server.clip, self.server.arguments = clip, ("--log", str(log))
        self.server.start()

    def sent(self) -> list[float]:
        """Return when each frame was taken, UTC."""
        return [utc for log, _ in self._shown for utc, _ in sent(log)]

    def flashes(self, *, partly: bool = False) -> list[Span]:
        """Return when each flash was shown, completely or also partly, UTC (begin, end)."""
        return sorted(span for log, spans in self._shown for span in flashes_shown(log, spans, partly=partly))


@dataclass(frozen=True)
class Fault:
    """A fault: how it begins, how it ends, how long it lasts, and whether frames stop meanwhile."""

    name: str
    begin: Callable[[Stage], object]
    end: Callable[[Stage], object]
    seconds: float
    stops: bool = True


def lossy(faults: Faults) -> tuple[Callable[[Stage], None], Callable[[Stage], None]]:
    """Return functions that begin and end `faults` in the proxy."""
    return (
        lambda stage: setattr(stage.mangler, "faults", faults),
        lambda stage: setattr(stage.mangler, "faults", Faults()),
    )


DAY = [
    Fault("killed for 2 s", lambda s: s.server.kill(), lambda s: s.start(), 2),
    Fault("frozen for 3 s", lambda s: s.server.signal(signal.SIGSTOP), lambda s: s.server.signal(signal.SIGCONT), 3),
    Fault("1 % of packets lost", *lossy(Faults(drop=0.01)), 20, stops=False),
    Fault("killed for 15 s", lambda s: s.server.kill(), lambda s: s.start(), 15),
    Fault("frozen for 12 s", lambda s: s.server.signal(signal.SIGSTOP), lambda s: s.server.signal(signal.SIGCONT), 12),
    Fault("bursts of 150 packets lost", *lossy(Faults(drop=0.001, burst=150)), 20, stops=False),
    Fault("muted for 9 s", lambda s: s.server.signal(signal.SIGUSR1), lambda s: s.server.signal(signal.SIGUSR1), 9),
    Fault("packets damaged", *lossy(Faults(flip=0.005)), 20, stops=False),
    Fault("line dead for 8 s", *lossy(Faults(silent=True)), 8),
    Fault("clients thrown out", lambda s: s.server.signal(signal.SIGUSR2), lambda _: None, 0.2),
    Fault("jitter of 30 ms", *lossy(Faults(jitter_ms=30)), 15, stops=False),
    Fault("another size", lambda s: s.server.kill(), lambda s: s.start("960x540"), 1),
    Fault("clock 10 s wrong", *lossy(Faults(clock_offset_seconds=10)), 20, stops=False),
    Fault("first size again", lambda s: s.server.kill(), lambda s: s.start("640x360"), 1),
]

CYCLE = [
    Fault("killed", lambda s: s.server.kill(), lambda s: s.start(), 0.3),
    Fault("frozen", lambda s: s.server.signal(signal.SIGSTOP), lambda s: s.server.signal(signal.SIGCONT), 1.5),
]


def hurt(fault: Fault, stage: Stage, seen: Watched, camera: Camera, settle_seconds: float) -> str:
    """Apply one fault, wait until frames come again, and return its effects."""
    before, begun = len(seen.states), time.time()
    fault.begin(stage)
    time.sleep(fault.seconds)
    ended = time.time()
    fault.end(stage)
    ready = time.time()
    wait_for(
        lambda: camera.status.state == "live" and seen.arrivals[-1][0] > ready, 70, f"pictures after: {fault.name}"
    )
    time.sleep(settle_seconds)
    change = next((when for when, status in seen.states[before:] if status.state in ("down", "stalled")), None)
    noticed = f"{change - begun:5.2f} s" if change is not None else "      -"
    back = f"{seen.first_after(ready) or 0:5.2f} s" if fault.stops else "      -"
    now = time.time()
    sent = sum(begun <= utc < now - 0.5 for utc in stage.sent())
    got, marked = seen.count_frames(begun, now - 0.3)
    return f"{fault.name:27} {ended - begun:5.1f} s  {noticed:>8}  {back:>8}  {max(0, sent - got):5}  {marked:6}"


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1, help="how many times the script is run (default 1: 5 minutes)")
    parser.add_argument("--cycles", type=int, help="instead, kill and freeze it so many times in quick succession")
    parser.add_argument("--transport", choices=("tcp", "udp"), default="tcp")
    parser.add_argument("--only", help="only faults whose name holds this word")
    arguments = parser.parse_args()
    if reason := missing():
        sys.exit(f"soak: {reason}")
    with ExitStack() as stack:
        return run(arguments, Path(stack.enter_context(tempfile.TemporaryDirectory())), stack)


def run(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> int:
    """Run the whole soak, and return 0 if all requirements held, else 1."""
    # Short times, so that a freeze is noticed and a second connection is tried beside the first.
    capture = {"transport": arguments.transport} | ({"stall_seconds": 0.7} if arguments.cycles else {})
    settings = load_settings([("soak", {"capture": capture})])
    seen, me = Watched(), psutil.Process()
    stage = Stage(folder)
    stack.callback(stage.server.kill)
    stack.enter_context(stage.mangler)
    judge = stack.enter_context(Batcher(PhotometricVerifier(settings.photometric), settings.batcher))
    url = stage.server.url.replace(str(stage.server.port), str(stage.mangler.port))
    camera = Camera("soak", url, settings.capture, lambda s: seen.states.append((time.time(), s)))
    work = (camera, settings, judge, time.time() - time.monotonic())
    thread = threading.Thread(target=seen.watch, args=work, name="soak-camera")
    thread.start()
    stack.callback(thread.join, 10)
    stack.callback(camera.close)
    wait_for(lambda: len(seen.arrivals) > 100, 20, "first pictures")
    start = resources(me)
    print(f"{'fault':27} {'lasted':>7}  {'noticed':>8}  {'back':>8}  {'lost':>5}  {'marked':>6}")
    script = CYCLE * arguments.cycles if arguments.cycles else DAY * arguments.days
    for fault in script:
        if not arguments.only or arguments.only in fault.name:
            print(hurt(fault, stage, seen, camera, 0.3 if arguments.cycles else 3.0), flush=True)
    wait_for(lambda: camera.status.state == "live", 10, "live at the end")
    time.sleep(3.0)
    end = resources(me)
    camera.close()
    thread.join(10)
    judge.drain()
    return summary(stage, seen, camera.status, start, end)


def resources(me: psutil.Process) -> tuple[float, int, int]:
    """Return (memory in MB, threads, open files) of this process."""
    return me.memory_info().rss / 1e6, me.num_threads(), me.num_fds()


def summary(
    stage: Stage, seen: Watched, status: CameraStatus, start: tuple[float, int, int], end: tuple[float, int, int]
) -> int:
    """Print the totals, and return 0 if all requirements held, else 1."""
    shown, begun = stage.flashes(), stage.flashes(partly=True)
    false = [flash for flash in seen.confirmed if not matches(flash, begun)]
    clean = [span for span in shown if seen.whole(span)]
    found = [span for span in clean if seen.found(span)]
    hurt_ones = [span for span in shown if span not in clean and seen.seen_at_all(span)]
    print()
    print(f"pictures:    {status.frames} ({status.damaged} marked, {status.late} late, {status.skipped} skipped)")
    print(f"connections: {status.attempts} tried, came back {status.reconnects} times")
    print(f"flashes:     {len(shown)} shown, {len(clean)} seen whole and unmarked, {len(found)} of those confirmed")
    confirmed = sum(map(seen.found, hurt_ones))
    print(f"             {len(hurt_ones)} seen in marked or joined pictures, {confirmed} of those confirmed")
    for span in clean:
        if span not in found:
            near = [f for f in seen.flashes.values() if matches(f, [span])]
            print(
                f"  missed: {datetime.fromtimestamp(span[0], UTC):%H:%M:%S.%f}",
                *(f"{f.state} {f.verdict}" for f in near),
            )
    print(f"false:       {len(false)}")
    for flash in false:
        print(f"  {flash.start_utc} by {flash.clock} within {flash.utc_error_ms} ms, {flash.quality}: {flash.verdict}")
    print(f"memory:      {start[0]:.0f} MB at start, {end[0]:.0f} MB at end")
    print(f"threads:     {start[1]} and {end[1]}; open files: {start[2]} and {end[2]}")
    held = not false and len(found) == len(clean) and end[0] - start[0] < GROWN_MB_ALLOWED
    held = held and end[1] <= start[1] + 1 and end[2] <= start[2] + 2
    print("all held" if held else "NOT all held")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
