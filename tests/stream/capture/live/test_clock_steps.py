"""A camera's clock steps, and it reboots, while it is watched: the bounds on time stay true and the step is told."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers.mangler import Faults, Mangler
from helpers.media import counter
from helpers.rtsp import RtspServer
from helpers.waiting import wait_until
from stream import Camera, CaptureOptions

Servers = Callable[..., RtspServer]
Mangled = Callable[[RtspServer, Faults], tuple[Mangler, str]]

STEPPED = {
    "clock ahead": Faults(clock_offset_seconds=10),
    "clock behind": Faults(clock_offset_seconds=-10),
    "clock and stamps ahead": Faults(clock_offset_seconds=10, stamp_offset_seconds=10),
    "clock and stamps behind": Faults(clock_offset_seconds=-10, stamp_offset_seconds=-10),
    "stamps ahead, no reports": Faults(no_reports=True, stamp_offset_seconds=10),
    "stamps behind, no reports": Faults(no_reports=True, stamp_offset_seconds=-10),
}


@dataclass(frozen=True)
class Said:
    """What was said of one frame: its number in the clip, its times in UTC, and the clock, bound and complaint."""

    number: int
    arrival: float
    utc: float
    clock: str
    bound_ms: float
    problem: str | None


@dataclass
class Watched:
    """A camera iterated in a thread, and all that it said."""

    camera: Camera
    mangler: Mangler
    step: Faults
    said: list[Said] = field(default_factory=list)

    @property
    def reports(self) -> bool:
        """Whether the camera tells its time."""
        return not self.step.no_reports

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, name=f"watch-{self.camera.name}")
        thread.start()
        try:
            yield
        finally:
            self.camera.close()
            thread.join(10)

    def _watch(self) -> None:
        to_utc = time.time() - time.monotonic()
        for frame in self.camera:
            assert frame.utc is not None
            assert frame.utc_error_ms is not None
            number, problem = counter(frame.levels(frame.luma)), self.camera.status.clock_problem
            self.said.append(Said(number, frame.arrival + to_utc, frame.utc, frame.clock, frame.utc_error_ms, problem))

    def settled(self, since: int, *, wrong: bool) -> bool:
        """Whether enough frames came since number `since`, with the camera's time once it is told and right."""
        rows = self.said[since:]
        if not self.reports:
            return len(rows) >= 50
        if wrong:
            return sum(row.problem is not None for row in rows) >= 25
        return sum(row.clock == "rtcp" and row.bound_ms <= 5 for row in rows) >= 25

    def errors_ms(self, log: Path) -> list[tuple[float, float]]:
        """Of each frame, how far its time is from the true one, and the stated bound on that."""
        truth: dict[int, list[float]] = {}
        for line in log.read_text().splitlines():
            utc_ns, _, index = line.split()
            truth.setdefault(int(index), []).append(int(utc_ns) / 1e9)
        errors = []
        for row in self.said:
            # The clip comes again every ten seconds: a frame was taken when it was last sent before it arrived,
            # give or take what two processes on a busy machine differ about the time.
            taken = max(utc for utc in truth[row.number] if utc <= row.arrival + 0.5)
            assert row.arrival - taken < 2
            errors.append((1000 * abs(row.utc - taken), row.bound_ms))
        return errors


@pytest.mark.soak
def test_across_clock_steps_of_ten_seconds_and_a_reboot_the_bounds_stay_true_and_the_step_is_told(
    rtsp_server: Servers, mangled: Mangled, camera_clip: Path, capture_options: CaptureOptions, tmp_path: Path
) -> None:
    server = rtsp_server(camera_clip, "--log", str(tmp_path / "log"))
    cameras = []
    for name, step in STEPPED.items():
        mangler, url = mangled(server, Faults(no_reports=step.no_reports))
        cameras.append(Watched(Camera(name, url, capture_options), mangler, step))
    with ExitStack() as stack:
        for one in cameras:
            stack.enter_context(one.running())
        all_settle(cameras, "right at first", wrong=False)
        for one in cameras:
            one.mangler.faults = one.step
        all_settle(cameras, "stepped", wrong=True)
        for one in cameras:
            one.mangler.faults = Faults(no_reports=one.step.no_reports)
        all_settle(cameras, "right again", wrong=False)
        server.kill()
        server.start()
        all_settle(cameras, "rebooted", wrong=False)
    for one in cameras:
        name = one.camera.name
        errors = one.errors_ms(tmp_path / "log")
        assert max(error for error, _ in errors) < 1000, f"{name}: a step of 10 s was believed"
        assert sum(error <= bound for error, bound in errors) / len(errors) >= 0.99, name
        told = {row.problem for row in one.said if row.problem}
        steps = [re.search(r"is ([\d.]+) s (ahead|behind)", words) for words in told]
        # Against what arrival tells, which on a busy host is off by up to its own bound.
        assert all(step and float(step[1]) == pytest.approx(10, abs=0.4) for step in steps), name
        assert bool(told) == one.reports, name


def all_settle(cameras: list[Watched], what: str, *, wrong: bool) -> None:
    """Wait until every camera has shown what follows from the last change."""
    since = [len(one.said) for one in cameras]
    wait_until(lambda: all(c.settled(n, wrong=wrong) for c, n in zip(cameras, since, strict=True)), 40, what)
