"""The frames of one camera over all its connections."""

from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from helpers.media import Clip, make_clip
from stream import CaptureOptions
from stream.capture.live.connection import Connected, Packet
from stream.capture.timing.decoder import LiveDecoder, StampedFrame
from stream.capture.timing.host_clock import HostClock, HostClockError
from stream.capture.timing.timeline import FrameAssembler


def test_a_camera_that_hangs_upside_down_is_shown_upright_also_after_it_came_back(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    with av.open(str(tmp_path / "turned.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.set_display_rotation(180)
        grey = av.VideoFrame.from_ndarray(np.full((180, 320), 30, np.uint8), format="gray")
        container.mux([*stream.encode(grey), *stream.encode(None)])
    with av.open(str(tmp_path / "turned.mp4")) as container:
        turned = next(container.decode(video=0))
    assembler, seen = FrameAssembler("roof", capture_options), []
    for connection in range(2):
        decoder = LiveDecoder(Connected(0.04, stamps=False), capture_options)
        frame = assembler.frame(StampedFrame(turned, float(connection), float(connection), ()), decoder)
        seen.append((decoder.size, frame.rotation))
        assembler.reconnected()
    assert seen == [((320, 180), 180)] * 2


def test_a_frame_came_with_the_packet_before_it_not_when_ffmpeg_gave_it_out(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = make_clip(tmp_path / "clip.ts", Clip(seconds=1, size=(320, 180)))
    began, host = 1.8e9, HostClockError(0.0, read=lambda: HostClock(synchronised=True, error_ms=0.0))
    pauses = [0.04, 0.3, 0.04, 0.9, 0.04, 0.04]
    frames: list[StampedFrame] = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        options = msgspec.structs.replace(capture_options, times="arrival")
        decoder = LiveDecoder(Connected(0.04, stream.codec_context, float(stream.time_base or 0)), options, host=host)
        # Its stamps step back again and again, so that each frame has the time at which it came.
        for _ in range(6):
            decoder.clock.arrival.note_step(10.0)
        arrivals = [10.0]
        for packet, pause in zip(container.demux(stream), pauses, strict=False):
            arrivals.append(arrivals[-1] + pause)
            item = Packet(packet, arrivals[-1], began, 0, False, False, None, None, before=arrivals[-2])
            frames += decoder.decode(item)
    said = [frame.taken.utc - began for frame in frames if frame.taken is not None]
    assert said == pytest.approx(arrivals[: len(frames)], abs=1e-3)
    assert len(said) == len(frames) > 3
