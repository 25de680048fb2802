"""Flashes over links that lose packets: none made up, and every undamaged one still found."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from detector.settings import load_settings
from detector.verify.batcher import Batcher
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.links import BURSTS, ENCODINGS, RANDOM, Link, storm
from helpers.mangler import Faults, Mangler
from helpers.media import encode_again
from helpers.rtsp import RtspServer
from helpers.truth import flashes_shown, matches
from helpers.waiting import wait_until
from stream import Camera

# Not shown more than three times, or it would be a lamp that keeps time.
CLIP_SECONDS, FLASHES = 11, ("sheet@1.6", "bolt@4.1", "pulses@6.5", "bolt@9")
RANDOM_PICTURES, BURST_PICTURES = 250, 550


@pytest.mark.soak
def test_lost_packets_make_no_flash_and_hide_no_undamaged_one(
    rtsp_server: Callable[..., RtspServer],
    mangled: Callable[[RtspServer, Faults], tuple[Mangler, str]],
    tmp_path: Path,
) -> None:
    made, spans = storm(tmp_path, CLIP_SECONDS, FLASHES)
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
            wait_until(lambda: all(len(link.seen.arrivals) > RANDOM_PICTURES for link in links), 60, "random loss")
            for link in links:
                link.lost_at_random = link.mangler.counts["dropped"]
                link.mangler.faults = BURSTS
            wait_until(lambda: all(map(robbed, links)), 60, "bursts on every link")
        judge.drain()
    assert all(link.lost_at_random for link in links)
    judged = [judge_of(link) for link in links]
    assert any(whole for whole, _ in judged), "no flash came whole"
    assert any(through_damage for _, through_damage in judged), "damage made blind"


def robbed(link: Link) -> bool:
    """Whether it has shown enough pictures, and lost two bursts of packets."""
    lost = link.mangler.counts["dropped"] - link.lost_at_random
    return len(link.seen.arrivals) > BURST_PICTURES and lost >= 2 * BURSTS.burst


def judge_of(link: Link) -> tuple[int, int]:
    """Flashes that came whole, and flashes confirmed in pictures that did not; none made up, none missed."""
    assert link.made_up() == [], link.name
    seen, shown = link.seen, flashes_shown(link.log, link.spans)
    whole = [span for span in shown if seen.whole(span)]
    missed = [span for span in whole if not seen.found(span)]
    said = [(f.state, f.quality, f.verdict) for f in seen.flashes.values() if matches(f, missed)]
    assert missed == [], f"{link.name}: {said}"
    return len(whole), sum(seen.found(span) for span in shown if span not in whole)
