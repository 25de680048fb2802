"""Clips: cut from what a source sent, without re-encoding, with the flash where it belongs."""

import io
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.media import Clip as Recording
from helpers.media import counter, make_clip
from helpers.rtsp import RtspServer
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import Camera, CaptureOptions, Clip, open_video
from stream.capture.clip_buffer import ClipBuffer

FLASH = FlashPlan(kind="sheet", at=5.0, rise=80)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Makes a clip of 8 s with a flash at 5 s: `recorded("storm.mp4", "libx264")`."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name: str, codec: str) -> Path:
        path = folder / name
        if not path.exists():
            scene = Scene(Plan(seconds=8.0, size=(320, 180), flashes=(FLASH,)))
            write_clip(scene, path, ClipFormat(codec=codec, key_seconds=1.0))
        return path

    return make


def brightest_second(clip: Clip) -> float:
    """When the frame of the clip with the most light was taken, on the source's clock."""
    with av.open(io.BytesIO(clip.data)) as container:
        light = {frame.time: float(np.mean(frame.to_ndarray(format="gray"))) for frame in container.decode(video=0)}
    assert min(light) == pytest.approx(0.0, abs=0.1), "a clip begins at 0"
    return clip.start_seconds + max(light, key=lambda time: light[time])


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mp4", "libx264", "mp4"),
        ("b.mkv", "libx265", "mp4"),
        ("c.ts", "libx264", "mp4"),
        ("d.webm", "libvpx", "webm"),
        ("e.avi", "mpeg4", "mkv"),
    ],
)
def test_a_clip_of_a_recording_holds_the_flash_where_it_was(
    name: str, codec: str, container: str, recorded: Callable[[str, str], Path], capture_options: CaptureOptions
) -> None:
    with open_video(recorded(name, codec), options=capture_options, history_seconds=6.0) as video:
        clip = next(video.cut(4.0, 6.0) for frame in video if frame.seconds >= 6.5)
    assert clip is not None
    assert clip.container == container
    assert 3.0 - 0.05 <= clip.start_seconds <= 4.0, "from the key frame before"
    assert brightest_second(clip) == pytest.approx(FLASH.at, abs=0.4)


def test_a_clip_of_an_avi_file_shows_its_frames_in_order_though_they_were_coded_in_another(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    coded = {"x264-params": "bframes=3:b-adapt=0"}
    path = make_clip(tmp_path / "a.avi", Recording(seconds=4.0, size=(320, 180), options=coded))
    with open_video(path, options=capture_options, history_seconds=6.0) as video:
        clip = next(video.cut(1.5, 2.5) for frame in video if frame.seconds >= 3.0)
    assert clip is not None
    with av.open(io.BytesIO(clip.data), "r") as container:
        shown = {frame.time: counter(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)}
    assert len(shown) > 25
    for time, number in shown.items():
        assert clip.start_seconds + time == pytest.approx(number / 25, abs=0.01)


def with_a_hole(whole: Path, path: Path, number: int) -> Path:
    """The recording `whole` with junk in place of the packet `number`, which gives no frame."""
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for count, packet in enumerate(source.demux(video=0)):
            if packet.size:
                written = av.Packet(b"\x55" * 64) if count == number else packet
                written.pts, written.dts, written.time_base = packet.pts, packet.dts, packet.time_base
                written.stream = stream
                output.mux(written)
    return path


@pytest.mark.parametrize("lost", [30, 31, 32, 33])
@pytest.mark.parametrize(
    "coded",
    [
        Recording(codec="mpeg4"),
        Recording(codec="mpeg4", options={"bf": "2"}),
        Recording(options={"x264-params": "bframes=3:b-adapt=0:b-pyramid=normal"}),
        Recording(codec="mjpeg", pixels="yuvj420p"),
    ],
    ids=["mpeg4", "mpeg4-b-frames", "h264-b-frames", "mjpeg"],
)
def test_a_frame_that_an_avi_file_skips_costs_no_clip_of_those_after_it(
    coded: Recording, lost: int, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    whole = make_clip(tmp_path / "whole.avi", replace(coded, seconds=3.2, size=(320, 180)))
    path = with_a_hole(whole, tmp_path / "hole.avi", lost)
    wanted, ends = [1.8, 2.0, 2.5], []
    with open_video(path, options=capture_options, history_seconds=6.0) as video:
        for frame in video:
            if wanted and frame.seconds >= wanted[0] + 0.5:
                clip = video.cut(wanted[0] - 0.5, wanted.pop(0))
                assert clip is not None
                with av.open(io.BytesIO(clip.data), "r") as container:
                    ends.append(clip.start_seconds + max(frame.time for frame in container.decode(video=0)))
    assert ends == pytest.approx([1.8, 2.0, 2.5], abs=0.1)


def live_clip(path: Path) -> Clip | None:
    """The clip of 4 to 6 s of what lies at `path`, as of a camera that sends it, whose clock says 100 s more."""
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        history = ClipBuffer(6.0, stream.codec_context)
        for packet in source.demux(stream):
            history.add(packet)
            for frame in stream.codec_context.decode(packet) if packet.size else ():
                history.place(frame.time, frame.time + 100.0)
        return history.cut(104.0, 106.0)


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("c.ts", "libx264", "mp4"),
        ("i.ts", "libx265", "mp4"),
        ("e.avi", "mpeg4", "mkv"),
        ("d.webm", "libvpx", "webm"),
        ("f.webm", "libvpx-vp9", "webm"),
        ("g.avi", "mjpeg", "mkv"),
        ("h.mkv", "libsvtav1", "webm"),
    ],
)
def test_a_clip_of_live_packets_holds_the_flash_where_it_was(
    name: str, codec: str, container: str, recorded: Callable[[str, str], Path]
) -> None:
    clip = live_clip(recorded(name, codec))
    assert clip is not None
    assert clip.container == container
    assert 103.0 - 0.05 <= clip.start_seconds <= 104.0, "from the key frame before"
    assert brightest_second(clip) == pytest.approx(100.0 + FLASH.at, abs=0.4)


def test_clips_of_hevc_are_tagged_as_apples_players_want_them_and_hold_their_parameter_sets_ahead(
    recorded: Callable[[str, str], Path], capture_options: CaptureOptions
) -> None:
    with open_video(recorded("b.mkv", "libx265"), options=capture_options, history_seconds=6.0) as video:
        of_file = next(video.cut(4.0, 6.0) for frame in video if frame.seconds >= 6.5)
    for clip in (of_file, live_clip(recorded("i.ts", "libx265"))):
        assert clip is not None
        with av.open(io.BytesIO(clip.data), "r") as container:
            codec = container.streams.video[0].codec_context
            assert (codec.name, codec.codec_tag) == ("hevc", "hvc1")
            kinds = parameter_sets(codec.extradata or b"")
            assert kinds >= {"VPS", "SPS", "PPS"}


def parameter_sets(record: bytes) -> set[str]:
    """Which kinds of parameter sets an HEVC decoder configuration record holds."""
    names = {32: "VPS", 33: "SPS", 34: "PPS"}
    position, kinds = 23, set[str]()
    for _ in range(record[22]):
        kind, count = record[position] & 63, int.from_bytes(record[position + 1 : position + 3])
        position += 3
        for _ in range(count):
            position += 2 + int.from_bytes(record[position : position + 2])
        if count:
            kinds.add(names.get(kind, "other"))
    return kinds


def with_sound(silent: Path, path: Path, codec: str) -> Path:
    """The recording `silent` with sound, coded as `codec`, that is silent but for FLASH.at to FLASH.at + 0.3."""
    rate = 48000
    clap = np.zeros((1, 8 * rate), np.int16)
    lit = slice(round(FLASH.at * rate), round((FLASH.at + 0.3) * rate))
    clap[0, lit] = 20000 * np.sin(np.arange(lit.stop - lit.start) / 9.0)
    with av.open(str(silent)) as source, av.open(str(path), "w") as output:
        video = output.add_stream_from_template(source.streams.video[0])
        sound = output.add_stream(codec, rate=rate, layout="mono")
        heard = av.AudioFrame.from_ndarray(clap, format="s16", layout="mono")
        heard.rate, heard.pts, heard.time_base = rate, 0, Fraction(1, rate)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
        output.mux(sound.encode(heard))
        output.mux(sound.encode(None))
    return path


def loud_seconds(clip: Clip) -> tuple[float, float]:
    """When the clip begins and ends to be loud, on the source's clock."""
    with av.open(io.BytesIO(clip.data), "r") as container:
        resampler = av.AudioResampler("s16", "mono", 48000)
        loud = [
            (frame.time or 0.0) + place / 48000
            for coded in container.decode(audio=0)
            for frame in resampler.resample(coded)
            for place in np.flatnonzero(abs(frame.to_ndarray()[0].astype(int)) > 4000)
        ]
    return clip.start_seconds + min(loud), clip.start_seconds + max(loud)


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("a.mp4", "libx264", "aac"),
        ("c.ts", "libx264", "ac3"),
        ("b.mkv", "libx265", "libopus"),
        ("a.mov", "libx264", "pcm_s16le"),
        ("d.webm", "libvpx", "libopus"),
        ("e.avi", "mpeg4", "libmp3lame"),
    ],
)
def test_a_clip_of_a_recording_has_its_sound_when_it_was_heard(
    name: str, codec: str, sound: str, recorded: Callable[[str, str], Path], tmp_path: Path,
    capture_options: CaptureOptions,
) -> None:  # fmt: skip
    path = with_sound(recorded(name, codec), tmp_path / name, sound)
    with open_video(path, options=capture_options, history_seconds=6.0) as video:
        clip = next(video.cut(4.0, 6.0) for frame in video if frame.seconds >= 6.5)
    assert clip is not None
    assert brightest_second(clip) == pytest.approx(FLASH.at, abs=0.4)
    assert loud_seconds(clip) == pytest.approx((FLASH.at, FLASH.at + 0.3), abs=0.06)


def test_sound_that_the_container_of_a_clip_does_not_take_costs_the_sound_alone(
    recorded: Callable[[str, str], Path], tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = with_sound(recorded("a.mp4", "libx264"), tmp_path / "a.mov", "pcm_mulaw")
    with open_video(path, options=capture_options, history_seconds=6.0) as video:
        clip = next(video.cut(4.0, 6.0) for frame in video if frame.seconds >= 6.5)
    assert clip is not None
    assert clip.container == "mp4"
    with av.open(io.BytesIO(clip.data), "r") as container:
        assert not container.streams.audio
    assert brightest_second(clip) == pytest.approx(FLASH.at, abs=0.4)


def test_what_is_too_long_ago_is_no_longer_there(
    recorded: Callable[[str, str], Path], capture_options: CaptureOptions
) -> None:
    with open_video(recorded("a.mp4", "libx264"), options=capture_options, history_seconds=2.0) as video:
        clips = [(video.cut(0.0, 1.0), video.cut(6.0, 7.0)) for frame in video if frame.seconds >= 7.5]
    assert clips[-1][0] is None
    assert clips[-1][1] is not None


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("jump", [-2.0, 2.0, 1000.0])
def test_what_came_before_the_time_stamps_jump_is_in_no_clip(
    jump: float, offset: float, recorded: Callable[[str, str], Path]
) -> None:
    with av.open(str(recorded("c.ts", "libx264"))) as source:
        stream = source.streams.video[0]
        history = ClipBuffer(6.0, stream.codec_context)
        for packet in source.demux(stream):
            history.add(packet)
        history.place(3.0, 3.0 + offset)
        assert history.cut(3.0 + offset, 4.0 + offset) is not None
        history.place(3.0 + jump, 3.04 + offset)
        assert history.cut(3.0 + offset, 4.0 + offset) is None


def test_after_a_small_step_of_the_time_stamps_in_a_stall_nothing_is_kept_until_the_next_key_frame(
    recorded: Callable[[str, str], Path],
) -> None:
    with av.open(str(recorded("c.ts", "libx264"))) as source:
        stream = source.streams.video[0]
        history = ClipBuffer(6.0, stream.codec_context)
        packets = list(source.demux(stream))
        for packet in packets:
            history.add(packet)
        history.place(3.0, 103.0)
        history.place(2.5, 104.1)  # half a second back, after more than a second without a frame
        assert history.cut(103.0, 104.2) is None
        history.add(next(packet for packet in packets if packet.is_keyframe))
        assert history.cut(103.0, 104.2) is not None


@pytest.fixture(scope="module")
def starting_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with sound, a flash and a clap at 5 s, twice in one file: its time stamps begin again after 8 s.

    Each half has a key frame at its beginning, and may have one at its flash.
    """
    folder = tmp_path_factory.mktemp("again")
    scene = Scene(Plan(seconds=8.0, size=(320, 180), flashes=(FLASH,)))
    write_clip(scene, folder / "silent.ts", ClipFormat(key_seconds=8.0))
    half = with_sound(folder / "silent.ts", folder / "half.ts", "ac3").read_bytes()
    (folder / "twice.ts").write_bytes(half + half)
    return folder / "twice.ts"


def test_the_part_of_a_recording_after_a_jump_of_its_time_stamps_has_clips_from_its_beginning_with_their_sound(
    starting_again: Path, capture_options: CaptureOptions
) -> None:
    with open_video(starting_again, options=capture_options, history_seconds=6.0) as video:
        clip = next(video.cut(12.0, 14.0) for frame in video if frame.seconds >= 14.5)
    assert clip is not None
    assert clip.start_seconds == pytest.approx(8.0, abs=0.1)
    assert brightest_second(clip) == pytest.approx(8.0 + FLASH.at, abs=0.4)
    assert loud_seconds(clip) == pytest.approx((8.0 + FLASH.at, 8.0 + FLASH.at + 0.3), abs=0.1)


def test_the_part_of_a_live_stream_after_a_jump_of_its_time_stamps_has_clips_from_its_first_frames_on(
    starting_again: Path,
) -> None:
    with av.open(str(starting_again)) as source:
        stream, sound = source.streams.video[0], source.streams.audio[0]
        history, seconds = ClipBuffer(6.0, stream.codec_context), 100.0
        clips: dict[float, Clip | None] = {}
        for packet in source.demux(stream, sound):
            if packet.stream is sound:
                history.add_sound(packet)
                continue
            history.add(packet)
            for frame in stream.codec_context.decode(packet) if packet.size else ():
                history.place(frame.time, seconds)
                assert history._bytes == sum(kept.size for kept in (*history._packets, *history._sounds))
                clips[round(seconds, 2)] = history.cut(seconds - 1.0, seconds + 0.02) if seconds >= 108.0 else None
                seconds += 0.04
    for end in (108.0, 108.04, 108.2, 109.0, 112.0, 114.0):
        clip = clips[end]
        assert clip is not None, f"none that ends at {end} s"
        assert clip.start_seconds == pytest.approx(108.0, abs=0.05) or end > 112.0
        with av.open(io.BytesIO(clip.data), "r") as container:
            last = max(frame.time for frame in container.decode(video=0))
        assert end - 0.12 <= clip.start_seconds + last <= end + 0.2, (
            "a clip ends within a tenth of a second, B-frames aside"
        )
    flash = clips[113.4]
    assert flash is not None
    assert brightest_second(flash) == pytest.approx(108.0 + FLASH.at, abs=0.4)


def test_a_live_clip_may_be_as_short_as_a_frame(tmp_path: Path) -> None:
    plain = Recording(seconds=0.4, size=(64, 36), noise_levels=0.0, key_seconds=10.0)
    with av.open(str(make_clip(tmp_path / "a.ts", plain))) as source:
        stream = source.streams.video[0]
        history = ClipBuffer(6.0, stream.codec_context)
        for packet in source.demux(stream):
            history.add(packet)
            for frame in stream.codec_context.decode(packet) if packet.size else ():
                history.place(frame.time, frame.time)
                clip = history.cut(0.0, frame.time + 0.02)
                assert clip is not None
                with av.open(io.BytesIO(clip.data), "r") as container:
                    assert clip.start_seconds + max(one.time for one in container.decode(video=0)) == frame.time


def test_a_group_of_frames_without_an_end_takes_no_more_than_64_mb() -> None:
    history = ClipBuffer(1000.0, av.CodecContext.create("h264", "r"))
    kept: list[int] = []
    for number in range(90):
        packet = av.Packet(1_000_000)
        packet.pts, packet.time_base, packet.is_keyframe = number, Fraction(1, 25), number in (0, 80)
        history.add(packet)
        kept.append(sum(one.size for one in history._packets))
    assert max(kept) <= 64_000_000
    assert kept[-1] == 10_000_000, "what follows the next key frame"
    assert "64 MB came in 3 s without a key frame" in str(history.complaint)


def test_sound_is_part_of_the_64_mb_and_goes_with_the_frames_of_its_time() -> None:
    history = ClipBuffer(1000.0, av.CodecContext.create("h264", "r"))
    for number in range(90):
        for add in (history.add, history.add_sound):
            packet = av.Packet(1_000_000)
            packet.pts, packet.time_base, packet.is_keyframe = number, Fraction(1, 25), number % 10 == 0
            add(packet)
        kept = [[one.pts or 0 for one in some] for some in (history._packets, history._sounds)]
        assert len(kept[0]) + len(kept[1]) <= 64
        assert kept[0] == kept[1] or kept[0] == [*kept[1], number]
    assert kept[0] == list(range(60, 90))
    assert history.complaint is None


def test_nothing_is_kept_where_no_clips_are_wanted(
    recorded: Callable[[str, str], Path], capture_options: CaptureOptions
) -> None:
    with open_video(recorded("a.mp4", "libx264"), options=capture_options) as video:
        assert all(video.cut(0.0, frame.seconds) is None for frame in video)


def test_a_clip_of_a_camera_holds_the_flash_where_it_was(
    rtsp_server: Callable[..., RtspServer], recorded: Callable[[str, str], Path], capture_options: CaptureOptions
) -> None:
    server = rtsp_server(recorded("a.mp4", "libx264"))
    with Camera("roof", server.url, capture_options, history_seconds=6.0) as camera:
        light: dict[float, float] = {}
        for frame in camera:
            light[frame.seconds] = float(frame.luma.mean())
            flash = max(light, key=lambda seconds: light[seconds])
            if light[flash] > min(light.values()) + 20 and frame.seconds > flash + 0.5:
                clip = camera.cut(flash - 1.0, flash + 0.5)
                break
    assert clip is not None
    assert brightest_second(clip) == pytest.approx(flash, abs=0.05)
