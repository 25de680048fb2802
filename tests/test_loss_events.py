"""Flashes over links that lose packets: none made up, and every undamaged one still found."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from detector.batcher import Batcher
from detector.photometric import PhotometricVerifier
from detector.settings import load_settings
from stream import Camera
from support_mangler import Faults, Mangler
from support_rtsp import RtspServer, wait_for
from support_truth import Seen, flashes_shown, matches

MAKE_STORM = Path(__file__).parent.parent / "tools" / "make_storm.py"
LINKS = {
    "tcp": Faults(drop=0.01),
    "udp": Faults(drop=0.0005, burst=150),
}


@pytest.mark.slow
def test_lost_packets_make_no_flash_and_hide_no_undamaged_one(
    rtsp_server: Callable[..., RtspServer],
    mangled: Callable[[RtspServer, Faults], tuple[Mangler, str]],
    tmp_path: Path,
) -> None:
    clip, labels, log = (tmp_path / name for name in ("storm.mp4", "labels.json", "log"))
    flashes = ["--flash", "sheet@2", "--flash", "bolt@4", "--flash", "pulses@6"]
    command = [sys.executable, str(MAKE_STORM), str(clip), "--labels", str(labels), "--seconds", "8", *flashes]
    subprocess.run([*command, "--key-seconds", "1", "--bitrate", "4000000"], check=True, capture_output=True)
    spans = json.loads(labels.read_text())[clip.name]["flashes"]
    server = rtsp_server(clip, "--log", str(log))
    settings = load_settings()
    seen = {link: Seen() for link in LINKS}
    cameras, threads, manglers = [], [], []
    with Batcher(PhotometricVerifier(settings.photometric), settings.batcher) as judge:
        for link, faults in LINKS.items():
            mangler, url = mangled(server, faults)
            manglers.append(mangler)
            cameras.append(Camera(link, url, msgspec.structs.replace(settings.capture, transport=link)))
            offset = time.time() - time.monotonic()
            threads.append(threading.Thread(target=seen[link].watch, args=(cameras[-1], settings, judge, offset)))
            threads[-1].start()
        wait_for(lambda: all(len(one.arrivals) > 500 for one in seen.values()), 60, "twenty seconds of pictures")
        for camera, thread in zip(cameras, threads, strict=True):
            camera.close()
            thread.join(10)
        judge.drain()
    shown, begun = flashes_shown(log, spans), flashes_shown(log, spans, partly=True)
    for link, one in seen.items():
        assert sum(marked for _, marked in one.arrivals) > 0, link
        assert [f for f in one.confirmed if not matches(f, begun)] == [], link
        missed = [span for span in shown if one.whole(span) and not one.found(span)]
        said = [(f.state, f.quality, f.verdict) for f in one.flashes.values() if matches(f, missed)]
        assert missed == [], f"{link}: {said}"
    assert all(mangler.counts["dropped"] for mangler in manglers)
    assert any(one.whole(span) for span in shown for one in seen.values())
