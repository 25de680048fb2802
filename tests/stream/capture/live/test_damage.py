"""Packets are lost on purpose: no damaged frame goes unmarked, marks end, and a lossy link does not make blind."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.mangler import Faults, Mangler
from helpers.media import Clip, counter, make_clip
from helpers.rtsp import RtspServer
from stream import Camera, CaptureOptions, open_video
from stream.capture.live.connection import Connected, Packet
from stream.capture.timing.corruption import CorruptionState
from stream.capture.timing.decoder import LiveDecoder
from stream.capture.timing.timeline import FrameAssembler

Servers = Callable[..., RtspServer]
Mangled = Callable[[RtspServer, Faults], tuple[Mangler, str]]

# Busy frames, so that each takes many packets, and fifty a second, so that a test is over soon.
BUSY = Clip(seconds=2, rate=Fraction(50), key_seconds=0.4, noise_levels=6, bits_per_second=9_000_000)
ENCODINGS = {
    "one slice": BUSY,
    "two slices and B-frames": replace(
        BUSY, options={"preset": "veryfast", "x264-params": "slices=2:bframes=2:b-adapt=0:scenecut=0"}
    ),
    "hevc": replace(
        BUSY, codec="libx265", options={"preset": "ultrafast", "x265-params": "log-level=none:scenecut=0:bframes=0"}
    ),
}


SINGLE, BURSTS = Faults(drop=0.003), Faults(drop=0.0005, burst=60)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("loss")
    return cache(lambda name: make_clip(folder / f"{name}.mp4", ENCODINGS[name]))


@dataclass
class Seen:
    """A camera's frames against the same ones decoded from the file."""

    good: int = 0
    marked: int = 0
    marked_though_whole: int = 0
    damaged_unmarked: int = 0
    marks: set[str] = field(default_factory=set)


def watch(url: str, frames: int, clip: Path, options: CaptureOptions) -> Seen:
    with open_video(clip, options=options) as video:
        whole: list[NDArray[np.uint8]] = [frame.luma.copy() for frame in video]
    seen = Seen()
    with Camera("roof", url, options) as camera:
        for frame in camera:
            number = counter(frame.levels(frame.luma))
            same = number < len(whole) and np.array_equal(frame.luma, whole[number])
            seen.marks.update(frame.quality)
            if frame.quality:
                seen.marked += 1
                seen.marked_though_whole += same
            elif same:
                seen.good += 1
            else:
                seen.damaged_unmarked += 1
            if frame.number == frames:
                break
    return seen


@pytest.mark.parametrize(
    ("encoding", "transport", "faults"),
    [
        ("one slice", "tcp", SINGLE),
        ("one slice", "udp", SINGLE),
        ("one slice", "tcp", BURSTS),
        ("one slice", "udp", BURSTS),
        ("two slices and B-frames", "tcp", SINGLE),
        ("two slices and B-frames", "udp", SINGLE),
        ("hevc", "tcp", SINGLE),
        ("hevc", "udp", BURSTS),
    ],
    ids=lambda value: {SINGLE: "single", BURSTS: "bursts"}.get(value, value) if isinstance(value, Faults) else value,
)
def test_no_damaged_frame_goes_unmarked(  # noqa: PLR0917 - fixtures
    encoding: str,
    transport: str,
    faults: Faults,
    clips: Callable[[str], Path],
    rtsp_server: Servers,
    mangled: Mangled,
    capture_options: CaptureOptions,
) -> None:
    clip = clips(encoding)
    mangler, url = mangled(rtsp_server(clip), faults)
    seen = watch(url, 90, clip, msgspec.structs.replace(capture_options, transport=transport))
    assert mangler.counts["dropped"] > 0
    assert "packet_loss" in seen.marks
    assert seen.damaged_unmarked == 0
    assert seen.good > 0


@pytest.mark.parametrize(("encoding", "transport"), [("one slice", "tcp"), ("two slices and B-frames", "udp")])
def test_a_clean_link_marks_nothing(
    encoding: str,
    transport: str,
    clips: Callable[[str], Path],
    rtsp_server: Servers,
    capture_options: CaptureOptions,
) -> None:
    clip = clips(encoding)
    seen = watch(rtsp_server(clip).url, 75, clip, msgspec.structs.replace(capture_options, transport=transport))
    assert (seen.marked, seen.damaged_unmarked) == (0, 0)


def test_packets_out_of_order_are_put_right_not_marked(
    clips: Callable[[str], Path], rtsp_server: Servers, mangled: Mangled, capture_options: CaptureOptions
) -> None:
    clip = clips("one slice")
    _, url = mangled(rtsp_server(clip), Faults(reorder=0.02))
    seen = watch(url, 90, clip, msgspec.structs.replace(capture_options, transport="udp"))
    assert (seen.marked, seen.damaged_unmarked) == (0, 0)


def test_a_key_frame_right_after_a_loss_does_not_clear_the_mark_and_the_next_one_does() -> None:
    corruption = CorruptionState()
    assert corruption.packet(key=True, lost=0) == ()
    assert corruption.packet(key=False, lost=2) == ("packet_loss",)
    assert corruption.packet(key=True, lost=0) == ("packet_loss",)
    assert corruption.packet(key=False, lost=0) == ("packet_loss",)
    assert corruption.packet(key=True, lost=0) == ()


def test_a_lost_part_of_a_key_frame_is_shown_as_it_was_before(
    clips: Callable[[str], Path], capture_options: CaptureOptions
) -> None:
    with av.open(str(clips("two slices and B-frames"))) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "NONE"  # as cameras are decoded
        packets = [packet for packet in container.demux(stream) if packet.size]
        decoder = LiveDecoder(Connected(0.02, stream.codec_context, float(stream.time_base or 0)), capture_options)
        keys = [n for n, packet in enumerate(packets) if packet.is_keyframe]
        packets[keys[1]] = without_last_slice(packets[keys[1]])
        items = [Packet(p, 0.02 * n, 0.0, int(n == keys[1]), False, False, None, None) for n, p in enumerate(packets)]
        assembler = FrameAssembler("roof", capture_options)
        frames = [assembler.frame(stamped, decoder) for item in items for stamped in decoder.decode(item)]
        means = [frame.levels(frame.luma[frame.luma.shape[0] // 2 :]).mean() for frame in frames]
    first = next(n for n, frame in enumerate(frames) if frame.quality)
    assert np.abs(np.diff(means[first - 3 : first + 3])).max() < 3


def without_last_slice(packet: av.Packet) -> av.Packet:
    """An H.264 frame that lost its last slice on the way; it holds NAL units after four bytes of length each."""
    data, at, units = bytes(packet), 0, []
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        units.append(data[at : at + 4 + length])
        at += 4 + length
    left = av.Packet(b"".join(units[:-1]))
    left.pts, left.dts, left.time_base, left.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
    return left
