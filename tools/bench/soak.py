"""Run one camera through a scripted day of faults in a few minutes, and print the effects.

A real RTSP server sends made storms through a proxy that loses, damages and delays packets. While it is killed,
frozen, muted and changed, the program watches as usual: capture, prefilter, photometric verifier. Given for each
fault: how soon it was noticed, how soon frames came again, frames lost and marked. At the end: flashes shown and
confirmed, false events, memory, threads and open files.
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
from typing import Any

import psutil

from bench.result import Result
from detector.settings import load_settings
from detector.verify.batcher import Batcher
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers import ROOT
from helpers.mangler import Faults, Mangler
from helpers.rtsp import RtspServer, missing
from helpers.truth import Seen, Span, flashes_shown, matches, sent
from helpers.waiting import wait_until
from stream import Camera, CameraStatus

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


def hurt(fault: Fault, stage: Stage, seen: Watched, camera: Camera, settle_seconds: float) -> dict[str, Any]:
    """Apply one fault, wait until frames come again, and return its effects."""
    before, begun = len(seen.states), time.time()
    fault.begin(stage)
    time.sleep(fault.seconds)
    ended = time.time()
    fault.end(stage)
    ready = time.time()
    wait_until(
        lambda: camera.status.state == "live" and seen.arrivals[-1][0] > ready, 70, f"frames after: {fault.name}"
    )
    time.sleep(settle_seconds)
    change = next((when for when, status in seen.states[before:] if status.state in ("down", "stalled")), None)
    now = time.time()
    sent = sum(begun <= utc < now - 0.5 for utc in stage.sent())
    got, marked = seen.count_frames(begun, now - 0.3)
    return {
        "fault": fault.name,
        "lasted_s": ended - begun,
        "noticed_s": None if change is None else change - begun,
        "back_s": seen.first_after(ready) if fault.stops else None,
        "lost_frames": max(0, sent - got),
        "marked_frames": marked,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: how long, over what, and which faults."""
    parser.add_argument("--days", type=int, default=1, help="how many times the script is run (default 1: 5 minutes)")
    parser.add_argument("--cycles", type=int, help="instead, kill and freeze it so many times in quick succession")
    parser.add_argument("--transport", choices=("tcp", "udp"), default="tcp")
    parser.add_argument("--only", help="only faults whose name holds this word")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Run the whole soak; whether all requirements held."""
    if reason := missing():
        print(f"bench soak: {reason}", file=sys.stderr)
        return False
    with ExitStack() as stack:
        return run(given, Path(stack.enter_context(tempfile.TemporaryDirectory())), stack, result)


def run(given: argparse.Namespace, folder: Path, stack: ExitStack, result: Result) -> bool:
    """Watch while the faults happen; whether all requirements held."""
    # Short times, so that a freeze is noticed and a second connection is tried beside the first.
    capture = {"transport": given.transport} | ({"stall_seconds": 0.7} if given.cycles else {})
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
    wait_until(lambda: len(seen.arrivals) > 100, 20, "first frames")
    start = resources(me)
    script = CYCLE * given.cycles if given.cycles else DAY * given.days
    for fault in script:
        if not given.only or given.only in fault.name:
            result.add(**hurt(fault, stage, seen, camera, 0.3 if given.cycles else 3.0))
    wait_until(lambda: camera.status.state == "live", 10, "live at the end")
    time.sleep(3.0)
    end = resources(me)
    camera.close()
    thread.join(10)
    judge.drain()
    return summary(stage, seen, camera.status, (start, end), result)


def resources(me: psutil.Process) -> tuple[float, int, int]:
    """Return (memory in MB, threads, open files) of this process."""
    return me.memory_info().rss / 1e6, me.num_threads(), me.num_fds()


def summary(
    stage: Stage,
    seen: Watched,
    status: CameraStatus,
    used: tuple[tuple[float, int, int], tuple[float, int, int]],
    result: Result,
) -> bool:
    """Tell the totals; whether all requirements held."""
    start, end = used
    shown, begun = stage.flashes(), stage.flashes(partly=True)
    false = [flash for flash in seen.confirmed if not matches(flash, begun)]
    clean = [span for span in shown if seen.whole(span)]
    found = [span for span in clean if seen.found(span)]
    hurt_ones = [span for span in shown if span not in clean and seen.seen_at_all(span)]
    for span in clean:
        if span not in found:
            near = [f"{f.state} {f.verdict}" for f in seen.flashes.values() if matches(f, [span])]
            print(f"missed: {datetime.fromtimestamp(span[0], UTC):%H:%M:%S.%f}", *near, file=sys.stderr)
    for flash in false:
        print(
            f"false: {flash.start_utc} by {flash.clock} within {flash.utc_error_ms} ms",
            f"{flash.quality}: {flash.verdict}",
            file=sys.stderr,
        )
    result.add(
        frames=status.frames,
        marked=status.damaged,
        late=status.late,
        skipped=status.skipped,
        reconnects=status.reconnects,
        flashes_whole=len(clean),
        confirmed_whole=len(found),
        flashes_damaged=len(hurt_ones),
        confirmed_damaged=sum(map(seen.found, hurt_ones)),
        made_up=len(false),
    )
    for what, before, after in zip(("memory_mb", "threads", "open_files"), start, end, strict=True):
        result.add(resource=what, at_start=before, at_end=after)
    held = not false and len(found) == len(clean) and end[0] - start[0] < GROWN_MB_ALLOWED
    return held and end[1] <= start[1] + 1 and end[2] <= start[2] + 2
