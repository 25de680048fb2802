"""A camera that sends several video streams: which is watched, and what is said of the rest."""

import threading
from collections.abc import Iterator
from pathlib import Path

import av
import msgspec
import pytest

from helpers.media import Clip, make_clip
from helpers.web import web_server
from stream import Camera, CameraStatus, CaptureOptions


@pytest.fixture
def two_lenses(tmp_path: Path) -> Iterator[str]:
    """The address of a transport stream with two video streams, 320 and 480 pixels wide."""
    sources = [
        av.open(str(make_clip(tmp_path / f"{width}.mp4", Clip(seconds=2, size=(width, width * 9 // 16)))))
        for width in (320, 480)
    ]
    with av.open(str(tmp_path / "both.ts"), "w") as output:
        streams = [output.add_stream_from_template(source.streams.video[0]) for source in sources]
        packets = [(p.dts, n, p) for n, source in enumerate(sources) for p in source.demux(video=0) if p.size]
        for _, number, packet in sorted(packets, key=lambda entry: entry[:2]):
            packet.stream = streams[number]
            output.mux(packet)
    for source in sources:
        source.close()
    with web_server({"/live": (tmp_path / "both.ts").read_bytes()}) as server:
        yield f"{server.address}/live"


@pytest.mark.parametrize(("number", "width"), [(1, 320), (2, 480)])
def test_the_stream_that_is_asked_for_is_watched_and_the_other_named(
    number: int, width: int, two_lenses: str, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    options = msgspec.structs.replace(capture_options, stream=number)
    with Camera("roof", two_lenses, options) as camera:
        frames = [frame for frame, _ in zip(camera, range(60), strict=False)]
    assert {frame.luma.shape[1] for frame in frames} == {width}
    assert caplog.text.count(f"sends 2 video streams, number {number} is watched") == 1


def test_a_stream_that_is_not_there_is_refused_in_words(two_lenses: str, capture_options: CaptureOptions) -> None:
    states: list[CameraStatus] = []
    heard = threading.Event()

    def on_state(status: CameraStatus) -> None:
        states.append(status)
        heard.set()
        camera.stop()

    camera = Camera("roof", two_lenses, msgspec.structs.replace(capture_options, stream=3), on_state=on_state)
    with camera:
        assert not list(camera)
    assert "sends 2 video stream(s), none with number 3" in str(states[0].last_error)
