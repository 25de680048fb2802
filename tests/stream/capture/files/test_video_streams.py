"""Which of several video streams of a recording show scenes of their own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.media import Clip, make_clip
from stream import CaptureOptions, OpenError, choose_streams, open_video

CLIP = Clip(seconds=1, size=(320, 180))


def together(path: Path, sources: Sequence[Path]) -> Path:
    """The video streams of `sources` in one file."""
    opened = [av.open(str(source)) for source in sources]
    with av.open(str(path), "w") as output:
        streams = [output.add_stream_from_template(one.streams.video[0]) for one in opened]
        packets = [
            (float(packet.dts * packet.time_base), number, packet)
            for number, one in enumerate(opened)
            for packet in one.demux(video=0)
            if packet.size
        ]
        for _, number, packet in sorted(packets, key=lambda entry: entry[:2]):
            packet.stream = streams[number]
            output.mux(packet)
    for one in opened:
        one.close()
    return path


def dark(path: Path, seed: int, size: tuple[int, int] = (320, 180)) -> Path:
    """A night of noise alone, with a horizon: nothing but detail tells one lens from another."""
    dice = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(25):
            sky = np.linspace(40, 18, size[1])[:, None] + dice.normal(0, 3, (size[1], size[0]))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.clip(sky, 0, 255).astype(np.uint8), "gray")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", ["mp4", "ts", "mkv"])
def test_streams_of_two_lenses_are_both_chosen(ending: str, tmp_path: Path, capture_options: CaptureOptions) -> None:
    first = make_clip(tmp_path / "1.mp4", CLIP)
    lens = tmp_path / "2.mp4"
    with av.open(str(first)) as source, av.open(str(lens), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for frame in source.decode(video=0):
            flipped = np.ascontiguousarray(frame.to_ndarray(format="gray")[::-1, ::-1])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(flipped, "gray")))
        output.mux(stream.encode(None))
    path = together(tmp_path / f"both.{ending}", [first, lens])
    assert choose_streams(str(path), capture_options).watched == (1, 2)


def test_two_lenses_that_see_only_a_dark_sky_are_both_chosen(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = together(tmp_path / "both.mkv", [dark(tmp_path / "1.mp4", 1), dark(tmp_path / "2.mp4", 2)])
    assert choose_streams(str(path), capture_options).watched == (1, 2)


def test_of_renditions_of_one_scene_the_largest_is_chosen_and_the_other_named(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    small = make_clip(tmp_path / "1.mp4", replace(CLIP, bits_per_second=200_000))
    large = tmp_path / "2.mp4"
    with av.open(str(small)) as source, av.open(str(large), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for frame in source.decode(video=0):
            output.mux(stream.encode(frame.reformat(640, 360)))
        output.mux(stream.encode(None))
    choice = choose_streams(str(together(tmp_path / "both.mkv", [small, large])), capture_options)
    assert choice.watched == (2,)
    assert "video stream 1 shows the same as stream 2" in choice.left_out[0]


def test_a_stream_of_one_image_is_a_cover_and_left_out(tmp_path: Path, capture_options: CaptureOptions) -> None:
    cover = make_clip(tmp_path / "c.mp4", replace(CLIP, seconds=0.04, size=(480, 480)))
    path = together(tmp_path / "both.mp4", [cover, make_clip(tmp_path / "v.mp4", CLIP)])
    choice = choose_streams(str(path), capture_options)
    assert choice.watched == (2,)
    assert "video stream 1 holds one image" in choice.left_out[0]


def test_a_stream_is_opened_by_its_number(tmp_path: Path, capture_options: CaptureOptions) -> None:
    other = make_clip(tmp_path / "2.mp4", replace(CLIP, size=(480, 270)))
    path = together(tmp_path / "both.mp4", [make_clip(tmp_path / "1.mp4", CLIP), other])
    for number, size in ((None, (320, 180)), (1, (320, 180)), (2, (480, 270))):
        with open_video(path, options=capture_options, stream=number) as video:
            assert video.size == size
            assert video.streams == 2
            assert len(list(video)) == 25
    with pytest.raises(OpenError, match="holds 2 video streams, none with number 3"):
        open_video(path, options=capture_options, stream=3)
