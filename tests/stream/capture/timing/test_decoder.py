"""The frames of one camera over all its connections."""

from pathlib import Path

import av
import numpy as np

from stream import CaptureOptions
from stream.capture.live.connection import Connected
from stream.capture.timing.decoder import LiveDecoder, StampedFrame
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
