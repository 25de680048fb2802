"""Flashes over links that lose packets: none made up, and every undamaged one still found."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from detector.batcher import Batcher
from detector.photometric import PhotometricVerifier
from detector.settings import Settings, load_settings
from stream import Camera
from support_mangler import Faults, Mangler
from support_media import Clip, encode_again
from support_rtsp import RtspServer, wait_for
from support_truth import Seen, Span, flashes_shown, matches

MAKE_STORM = Path(__file__).parent.parent / "tools" / "make_storm.py"
# Not shown more than three times, or it would be a lamp that keeps time.
CLIP_SECONDS, FLASHES = 11, ("sheet@1.6", "bolt@4.1", "pulses@6.5", "bolt@9")
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
RANDOM_PICTURES, BURST_PICTURES = 250, 550


@dataclass
class Link:
    """One camera over one lossy link, and what was seen of it."""

    name: str
    mangler: Mangler
    camera: Camera
    log: Path
    spans: list[Span]
    seen: Seen = field(default_factory=Seen)
    lost_at_random: int = 0

    @property
    def robbed(self) -> bool:
        """Whether it has shown enough pictures, and lost two bursts of packets."""
        lost = self.mangler.counts["dropped"] - self.lost_at_random
        return len(self.seen.arrivals) > BURST_PICTURES and lost >= 2 * BURSTS.burst

    @contextmanager
    def watched(self, settings: Settings, judge: Batcher) -> Iterator[None]:
        """Do with its pictures what the program does."""
        work = (self.camera, settings, judge, time.time() - time.monotonic())
        thread = threading.Thread(target=self.seen.watch, args=work, name=f"watch-{self.name}")
        thread.start()
        try:
            yield
        finally:
            self.camera.close()
            thread.join(10)


@pytest.mark.slow
def test_lost_packets_make_no_flash_and_hide_no_undamaged_one(
    rtsp_server: Callable[..., RtspServer],
    mangled: Callable[[RtspServer, Faults], tuple[Mangler, str]],
    tmp_path: Path,
) -> None:
    made, spans = storm(tmp_path)
    settings = load_settings()
    links = []
    for encoding, clip in ENCODINGS.items():
        log = tmp_path / f"{encoding}.log"
        server = rtsp_server(encode_again(made, tmp_path / f"{encoding}.mp4", clip), "--log", str(log))
        for transport in ("tcp", "udp"):
            mangler, url = mangled(server, RANDOM)
            name = f"{encoding}, {transport}"
            camera = Camera(name, url, msgspec.structs.replace(settings.capture, transport=transport))
            links.append(Link(name, mangler, camera, log, spans))
    with Batcher(PhotometricVerifier(settings.photometric), settings.batcher) as judge:
        with ExitStack() as stack:
            for link in links:
                stack.enter_context(link.watched(settings, judge))
            wait_for(lambda: all(len(link.seen.arrivals) > RANDOM_PICTURES for link in links), 60, "random loss")
            for link in links:
                link.lost_at_random = link.mangler.counts["dropped"]
                link.mangler.faults = BURSTS
            wait_for(lambda: all(link.robbed for link in links), 60, "bursts on every link")
        judge.drain()
    assert all(link.lost_at_random for link in links)
    judged = [judge_of(link) for link in links]
    assert any(whole for whole, _ in judged), "no flash came whole"
    assert any(through_damage for _, through_damage in judged), "damage made blind"


def judge_of(link: Link) -> tuple[int, int]:
    """Flashes that came whole, and flashes confirmed in pictures that did not; none made up, none missed."""
    seen = link.seen
    shown, begun = flashes_shown(link.log, link.spans), flashes_shown(link.log, link.spans, partly=True)
    made_up = [flash for flash in seen.confirmed if not matches(flash, begun)]
    assert made_up == [], link.name
    whole = [span for span in shown if seen.whole(span)]
    missed = [span for span in whole if not seen.found(span)]
    said = [(f.state, f.quality, f.verdict) for f in seen.flashes.values() if matches(f, missed)]
    assert missed == [], f"{link.name}: {said}"
    return len(whole), sum(seen.found(span) for span in shown if span not in whole)


def storm(folder: Path) -> tuple[Path, list[Span]]:
    """A made clip, and when each of its flashes begins and ends."""
    clip, labels = folder / "storm.mp4", folder / "labels.json"
    flashes = [word for flash in FLASHES for word in ("--flash", flash)]
    command = [sys.executable, str(MAKE_STORM), str(clip), "--labels", str(labels), "--seconds", str(CLIP_SECONDS)]
    subprocess.run([*command, "--crf", "16", *flashes], check=True, capture_output=True)
    return clip, [(begin, end) for begin, end in json.loads(labels.read_text())[clip.name]["flashes"]]
