"""Lossy links for tests: a made storm in three encodings, and cameras that watch it through robbing proxies."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from detector.events import Flash
from detector.settings import Settings
from detector.verify.batcher import Batcher
from helpers import ROOT
from helpers.mangler import Faults, Mangler
from helpers.media import Clip
from helpers.truth import Seen, Span, flashes_shown, matches
from stream import Camera

MAKE_STORM = ROOT / "tools" / "make_storm.py"
ENCODINGS = {
    "one slice": Clip(),
    "two slices and B-frames": Clip(
        options={"preset": "veryfast", "x264-params": "slices=2:bframes=2:b-adapt=0:scenecut=0"}
    ),
    "hevc": Clip(
        codec="libx265", options={"preset": "ultrafast", "x265-params": "log-level=none:scenecut=0:bframes=0"}
    ),
}
RANDOM, BURSTS = Faults(drop=0.01), Faults(drop=0.001, burst=150)


@dataclass
class Link:
    """One camera over one lossy link, and what was seen of it; `log` and `spans`: what its server shows and when."""

    name: str
    mangler: Mangler
    camera: Camera
    log: Path
    spans: list[Span]
    seen: Seen = field(default_factory=Seen)
    lost_at_random: int = 0

    @contextmanager
    def watched(self, settings: Settings, judge: Batcher) -> Iterator[None]:
        """Do with its frames what the program does."""
        work = (self.camera, settings, judge, time.time() - time.monotonic())
        thread = threading.Thread(target=self.seen.watch, args=work, name=f"watch-{self.name}")
        thread.start()
        try:
            yield
        finally:
            self.camera.close()
            thread.join(10)

    def made_up(self) -> list[Flash]:
        """Flashes that were confirmed and never shown."""
        begun = flashes_shown(self.log, self.spans, partly=True)
        return [flash for flash in self.seen.confirmed if not matches(flash, begun)]

    def shown(self) -> list[Span]:
        """When each flash was shown whole while the camera watched, UTC."""
        first, last = self.seen.arrivals[0][0], self.seen.arrivals[-1][0]
        shown = flashes_shown(self.log, self.spans)
        return [span for span in shown if first + 2 < span[0] and span[1] + 1 < last]


def storm(folder: Path, seconds: float, flashes: Sequence[str], *more: str) -> tuple[Path, list[Span]]:
    """A made clip, and when each of its flashes begins and ends."""
    clip, labels = folder / "storm.mp4", folder / "labels.json"
    command = [sys.executable, str(MAKE_STORM), str(clip), "--labels", str(labels), "--seconds", str(seconds), *more]
    command += ["--crf", "16", *(word for flash in flashes for word in ("--flash", flash))]
    subprocess.run(command, check=True, capture_output=True)
    return clip, [(begin, end) for begin, end in json.loads(labels.read_text())[clip.name]["flashes"]]
