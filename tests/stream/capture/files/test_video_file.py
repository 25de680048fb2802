"""Recordings of every kind: each frame once, in order, at its time, on one scale of levels."""

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.media import Clip, counter, draw_frame, make_clip
from helpers.transport_stream import with_streams_that_appear_later
from stream import CaptureOptions, Frame, GrowingFile, OpenError, Video, VideoError, open_video

SMALL = Clip(seconds=1.2, size=(320, 180), flashes=(12,))
X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
FAST_VP = {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "2M"}
B_FRAMES = {"x264-params": "bframes=3:b-adapt=0"}

KINDS = {
    "h264.mp4": SMALL,
    "h264-b-frames.mp4": replace(SMALL, options=B_FRAMES),
    "h264-full-range.mp4": replace(SMALL, full_range=True),
    "h264-ten-bits.mkv": replace(SMALL, pixels="yuv420p10le"),
    "h264-422.mov": replace(SMALL, pixels="yuv422p"),
    "h264-interlaced.ts": replace(SMALL, options={"x264-params": "tff=1:bframes=0"}),
    "h264.flv": SMALL,
    "hevc.mp4": replace(SMALL, codec="libx265", options=X265),
    "hevc-ten-bits.ts": replace(SMALL, codec="libx265", pixels="yuv420p10le", options=X265),
    "vp8.webm": replace(SMALL, codec="libvpx", options=FAST_VP),
    "vp9.webm": replace(SMALL, codec="libvpx-vp9", options=FAST_VP),
    "av1.mp4": replace(SMALL, codec="libsvtav1", options={"preset": "13"}),
    "mpeg4.avi": replace(SMALL, codec="mpeg4", options={"b": "4M"}),
    "h264-b-frames.avi": replace(SMALL, options=B_FRAMES),
    "mpeg4-b-frames.avi": replace(SMALL, codec="mpeg4", options={"b": "4M", "bf": "2"}),
    "mjpeg.avi": replace(SMALL, codec="mjpeg", pixels="yuvj420p", full_range=True, options={"qmax": "4"}),
    "raw-packed.avi": replace(SMALL, codec="rawvideo", pixels="yuyv422"),
    "raw-bottom-up-rgb.avi": replace(SMALL, codec="rawvideo", pixels="bgr24", full_range=True),
    "png-rgb.mov": replace(SMALL, codec="png", pixels="rgb24", full_range=True),
    "grey.mkv": replace(SMALL, codec="ffv1", pixels="gray", full_range=True),
    "grey-sixteen-bits.mkv": replace(SMALL, codec="ffv1", pixels="gray16le", full_range=True),
    "thirty-a-second.mp4": replace(SMALL, rate=Fraction(30000, 1001)),
}


def frames_of(path: Path, options: CaptureOptions, **more: float) -> list[Frame]:
    with open_video(path, options=options, **more) as video:
        return list(video)


def shown(frame: Frame) -> np.ndarray:
    return frame.levels(frame.luma)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_each_frame_once_at_its_time(
    kind: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = KINDS[kind]
    path = make_clip(tmp_path / kind, clip)
    with open_video(path, options=capture_options) as video:
        assert video.size == clip.size
        assert video.frame_rate == pytest.approx(float(clip.rate), rel=0.001)
        frames = list(video)
    assert [counter(shown(f)) for f in frames] == list(range(clip.frames))
    assert [f.number for f in frames] == list(range(clip.frames))
    assert [f.seconds for f in frames] == pytest.approx([n / float(clip.rate) for n in range(clip.frames)], abs=0.002)
    assert {f.epoch for f in frames} == {0}
    assert {f.quality for f in frames} == {()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_scene_has_the_same_levels_whatever_the_depth_and_range(
    kind: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    frames = frames_of(make_clip(tmp_path / kind, KINDS[kind]), capture_options)
    sky = [shown(f)[60:].mean() for f in frames]
    assert sky[11] == pytest.approx(draw_frame(KINDS[kind], 11)[60:].mean(), abs=2)
    assert sky[12] - sky[11] == pytest.approx(60, abs=2)
    grey = frames[12].rgb(64)
    assert grey.shape == (36, 64, 3)
    assert grey[12:].mean() == pytest.approx(sky[12], abs=4)


def test_luma_of_ordinary_video_is_the_decoders_own_memory(tmp_path: Path, capture_options: CaptureOptions) -> None:
    frame = frames_of(make_clip(tmp_path / "a.mp4", SMALL), capture_options)[0]
    assert frame.luma.dtype == np.uint8
    assert not frame.luma.flags.owndata


def test_times_follow_the_time_stamps_where_the_rate_varies(tmp_path: Path, capture_options: CaptureOptions) -> None:
    stamps = list(itertools.accumulate([0] + [1, 2, 3] * 12))
    clip = replace(SMALL, seconds=len(stamps) / 25, stamp=lambda n: stamps[n])
    frames = frames_of(make_clip(tmp_path / "a.mkv", clip), capture_options)
    assert [f.seconds for f in frames] == pytest.approx([s / 25 for s in stamps], abs=0.002)
    assert {f.epoch for f in frames} == {0}


def test_a_time_lapse_with_seconds_between_frames_is_one_epoch_after_its_first_step(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = replace(SMALL, seconds=0.8, stamp=lambda n: n * 125)
    frames = frames_of(make_clip(tmp_path / "a.mkv", clip), capture_options)
    assert [f.seconds for f in frames] == pytest.approx([n * 5.0 for n in range(clip.frames)], abs=0.01)
    assert len({f.epoch for f in frames[1:]}) == 1


def test_a_hole_in_the_recording_starts_a_new_epoch_at_its_own_time(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = replace(SMALL, stamp=lambda n: n if n < 15 else n + 250)
    frames = frames_of(make_clip(tmp_path / "a.mkv", clip), capture_options)
    assert frames[15].seconds == pytest.approx(265 / 25, abs=0.01)
    assert [f.epoch for f in frames] == [0] * 15 + [1] * 15


def test_frames_without_time_stamps_are_spaced_by_the_rate(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = make_clip(tmp_path / "a.h264", SMALL)
    frames = frames_of(path, capture_options)
    assert [f.seconds for f in frames] == pytest.approx([n / 25 for n in range(30)], abs=0.001)
    assert {f.clock for f in frames} == {"none"}


def test_time_begins_at_zero_where_the_first_stamp_does_not(tmp_path: Path, capture_options: CaptureOptions) -> None:
    clip = replace(SMALL, stamp=lambda n: n + 25 * 95000)
    frames = frames_of(make_clip(tmp_path / "a.ts", clip), capture_options)
    assert frames[0].seconds == pytest.approx(0, abs=0.001)
    assert frames[-1].seconds == pytest.approx(29 / 25, abs=0.001)


def test_recordings_joined_end_to_end_never_turn_time_back(tmp_path: Path, capture_options: CaptureOptions) -> None:
    first, second = make_clip(tmp_path / "1.ts", SMALL), make_clip(tmp_path / "2.ts", replace(SMALL, size=(480, 270)))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + first.read_bytes() + second.read_bytes())
    frames = frames_of(joined, capture_options)
    assert len(frames) == 90
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(frames))
    assert frames[30].epoch > frames[29].epoch
    assert frames[60].epoch > frames[59].epoch
    assert frames[60].luma.shape == (270, 480)
    assert frames[-1].seconds == pytest.approx(90 / 25, abs=0.2)


def test_hidden_frames_of_an_edit_list_stay_hidden(tmp_path: Path, capture_options: CaptureOptions) -> None:
    source = make_clip(tmp_path / "a.mp4", replace(SMALL, seconds=2, key_seconds=5))
    cut = tmp_path / "cut.mp4"
    os.spawnlp(os.P_WAIT, "ffmpeg", "ffmpeg", "-v", "error", "-ss", "1", "-i", str(source), "-c", "copy", str(cut))
    frames = frames_of(cut, capture_options)
    assert [counter(shown(f)) for f in frames] == list(range(25, 50))
    assert frames[0].seconds == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_recordings_are_shown_upright(degrees: int, tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.set_display_rotation(degrees)
        grey = np.full((180, 320), 30, np.uint8)
        grey[:60] = 200  # bright along the top as stored
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        container.mux(stream.encode(None))
    frame = frames_of(path, capture_options)[0]
    upright = np.rot90(shown(frame), frame.rotation // 90)
    rgb = frame.rgb()
    assert frame.rotation in (degrees, 360 - degrees)
    assert rgb.shape[:2] == upright.shape
    assert np.abs(rgb[..., 0].astype(float) - upright).mean() < 6
    side = {90: upright[:, :60], 180: upright[-60:], 270: upright[:, -60:]}[frame.rotation]
    assert side.mean() > 190


def test_a_file_that_still_grows_is_read_as_far_as_it_goes(tmp_path: Path, capture_options: CaptureOptions) -> None:
    whole = make_clip(tmp_path / "whole.ts", SMALL).read_bytes()
    growing = tmp_path / "growing.ts"
    growing.write_bytes(whole[: len(whole) // 2])
    frames = frames_of(growing, capture_options)
    assert [counter(shown(f)) for f in frames][:10] == list(range(10))
    assert len(frames) < 30


def test_utc_comes_from_the_container_or_from_the_user_or_is_unknown(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    dated = make_clip(tmp_path / "d.mp4", replace(SMALL, metadata={"creation_time": "2026-06-01T20:00:00Z"}))
    undated = make_clip(tmp_path / "u.mp4", SMALL)
    frames = frames_of(dated, capture_options)
    assert (frames[5].clock, frames[5].utc) == ("file", pytest.approx(1780344000.2, abs=0.001))
    frames = frames_of(dated, capture_options, start_utc=1000.5)
    assert (frames[5].clock, frames[5].utc) == ("file", pytest.approx(1000.7))
    frames = frames_of(undated, capture_options)
    assert (frames[5].clock, frames[5].utc, frames[5].utc_error_ms) == ("none", None, None)


def test_the_creation_time_of_an_android_phone_is_that_of_the_end(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    tags = {"creation_time": "2026-06-01T20:00:10Z", "com.android.version": "14"}
    more = {"movflags": "use_metadata_tags"}
    path = make_clip(tmp_path / "a.mp4", replace(SMALL, seconds=4, metadata=tags, container_options=more))
    assert frames_of(path, capture_options)[0].utc == pytest.approx(1780344006.0, abs=0.001)


def test_local_time_is_not_taken_for_utc(tmp_path: Path, capture_options: CaptureOptions) -> None:
    gopro = tmp_path / "gopro.mp4"
    with av.open(str(make_clip(tmp_path / "a.mp4", SMALL))) as source, av.open(str(gopro), "w") as container:
        container.metadata["creation_time"] = "2026-06-01T20:00:00Z"
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.metadata["handler_name"] = "\x01GoPro AVC"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    camcorder = make_clip(tmp_path / "a.avi", replace(SMALL, codec="mpeg4"))
    data = camcorder.read_bytes()
    place = data.index(b"JUNK")
    room = int.from_bytes(data[place + 4 : place + 8], "little")
    date = b"MON JUN 01 20:00:00 2026\n".ljust(room, b"\0")
    camcorder.write_bytes(data[:place] + b"IDIT" + data[place + 4 : place + 8] + date + data[place + 8 + room :])
    with av.open(str(camcorder)) as container:
        assert container.metadata["creation_time"] == "2026-06-01 20:00:00"
    for path in (gopro, camcorder):
        frame = frames_of(path, capture_options)[0]
        assert (frame.clock, frame.utc) == ("none", None), path


def test_the_users_utc_is_that_of_the_first_frame_though_sound_begins_before_it(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = with_sound(tmp_path / "a.mkv", frames=50, frames_begin=1.5, sound_seconds=3)
    frames = frames_of(path, capture_options, start_utc=1000.0)
    assert frames[0].seconds == pytest.approx(1.5, abs=0.05)
    assert frames[0].utc == pytest.approx(1000.0, abs=0.001)


def test_the_users_utc_is_that_of_the_first_frame_that_is_seen_where_those_before_it_lack_their_key_frame(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    whole = make_clip(tmp_path / "whole.mp4", replace(SMALL, seconds=2))
    path = tmp_path / "from-the-middle.ts"
    with av.open(str(whole)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in itertools.islice(source.demux(video=0), 10, 50):
            packet.stream = stream
            container.mux(packet)
    frames = frames_of(path, capture_options, start_utc=1000.0)
    assert counter(shown(frames[0])) == 25
    assert frames[0].utc == pytest.approx(1000.0, abs=0.001)


@pytest.mark.parametrize(("name", "rate"), [("a.h264", "10"), ("a.mjpeg", "25")])
def test_a_bare_stream_has_no_bound_on_its_times_and_the_rate_that_is_assumed_is_said(
    name: str, rate: str, tmp_path: Path, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    jpegs = {"codec": "mjpeg", "pixels": "yuvj420p", "full_range": True} if name == "a.mjpeg" else {}
    path = make_clip(tmp_path / name, replace(SMALL, seconds=3, rate=Fraction(10), **jpegs))
    frames = frames_of(path, capture_options, start_utc=1000.0)
    assert frames[20].seconds == pytest.approx(20 / int(rate))
    assert (frames[20].clock, frames[20].utc_error_ms) == ("file", None)
    assert f"{path}: holds no time stamps: {rate} frames a second are assumed" in caplog.text


def test_where_time_stamps_begin_anew_the_error_of_the_users_utc_is_unknown_and_it_is_said(
    tmp_path: Path, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    part = make_clip(tmp_path / "part.ts", SMALL)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(2 * part.read_bytes())
    frames = frames_of(joined, capture_options, start_utc=1000.0)
    assert [frame.utc_error_ms for frame in frames] == [40.0] * 30 + [None] * 30
    assert f"{joined}: its time stamps begin anew at 1.20 s" in caplog.text


CODECS = {"a.avi": {"codec": "mpeg4"}, "a.webm": {"codec": "libvpx", "options": FAST_VP}}


def cut_short(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.flv", "a.avi", "a.mp4"])
def test_a_recording_that_breaks_off_gives_all_before_the_break_and_then_says_so(
    name: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = replace(SMALL, seconds=4, container_options={"movflags": "faststart"} if name == "a.mp4" else {})
    broken = make_clip(tmp_path / name, replace(clip, **CODECS.get(name, {})))
    cut_short(broken)
    seen = []
    with open_video(broken, options=capture_options) as video, pytest.raises(VideoError) as error:
        seen.extend(counter(shown(f)) for f in video)
    assert seen[:20] == list(range(20))
    assert len(seen) < 70
    assert "breaks off after" in str(error.value)
    assert str(broken) in str(error.value)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.ts", "a.mp4"])
def test_a_segment_whose_time_stamps_go_on_from_the_one_before_is_complete_unless_cut_short(
    name: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    clip = replace(SMALL, seconds=4, stamp=lambda number: 600 * 25 + number, **CODECS.get(name, {}))
    segment = make_clip(tmp_path / name, clip)
    with open_video(segment, options=capture_options) as video:
        assert video.duration_seconds == pytest.approx(4.0, abs=0.05)
        assert len(list(video)) == 100
    cut_short(segment)
    if name in ("a.mkv", "a.webm"):
        with open_video(segment, options=capture_options) as video, pytest.raises(VideoError, match="breaks off after"):
            list(video)


def test_damage_in_the_middle_marks_frames_and_reading_goes_on(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = make_clip(tmp_path / "a.mp4", replace(SMALL, seconds=4))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(np.random.default_rng(1).integers(0, 256, 4000, np.uint8))
    path.write_bytes(data)
    with open_video(path, options=capture_options) as video:
        frames = list(video)
        assert video.damaged > 0
    assert len(frames) > 90
    assert {f.quality for f in frames} == {(), ("decode_error",)}
    assert not frames[-1].quality


def test_a_file_of_which_most_will_not_decode_is_called_damaged(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    path = make_clip(tmp_path / "a.avi", replace(SMALL, seconds=4, codec="mjpeg", pixels="yuvj420p", full_range=True))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None]
    for at, size in places[10:]:
        data[at + 8 : at + size] = bytes(size - 8)
    path.write_bytes(data)
    with open_video(path, options=capture_options) as video, pytest.raises(VideoError, match="would not decode"):
        assert len(list(video)) >= 10


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def still_image(path: Path) -> None:
    av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24").save(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing.mp4": (lambda path: None, "no such file"),
    "folder": (Path.mkdir, "is a folder"),
    "empty.mp4": (Path.touch, "is empty"),
    "text.mp4": (lambda path: path.write_text("not a video " * 50), "is not a video"),
    "sound.mp4": (audio_only, "holds sound but no video"),
    "still.png": (still_image, "is a still image"),
    "fifo.mp4": (os.mkfifo, "is not a regular file"),
    "no-index.mp4": (lambda path: cut_short(make_clip(path, SMALL)), "index is missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_recording_is_refused_with_one_line_that_says_what_it_is(
    name: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    make, said = BAD[name]
    make(tmp_path / name)
    with pytest.raises(OpenError) as error:
        open_video(tmp_path / name, options=capture_options)
    assert said in str(error.value)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.permanent


def test_a_file_name_that_looks_like_a_protocol_is_still_a_file(
    tmp_path: Path, capture_options: CaptureOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "rtsp:storm.mp4", SMALL)
    assert len(frames_of(Path("rtsp:storm.mp4"), capture_options)) == 30


def with_sound(path: Path, frames: int, frames_begin: float, sound_seconds: int) -> Path:
    """A recording at 25 frames a second whose sound begins at 0."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = SMALL.size[0], SMALL.size[1], "yuv420p"
        sound = container.add_stream("aac", rate=44100, layout="mono")
        for number in range(frames):
            shown = av.VideoFrame.from_ndarray(draw_frame(SMALL, number), format="gray")
            shown.pts, shown.time_base = number + round(25 * frames_begin), Fraction(1, 25)
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, sound_seconds * 44100), np.float32), format="fltp", layout="mono"
        )
        silence.rate = 44100
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("sound_seconds", [4, 12])
def test_sound_that_goes_on_after_the_last_frame_is_not_a_break(
    sound_seconds: int, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    assert len(frames_of(with_sound(tmp_path / "a.flv", 50, 0.0, sound_seconds), capture_options)) == 50


def test_a_break_in_the_sound_after_the_last_frame_is_told(tmp_path: Path, capture_options: CaptureOptions) -> None:
    path = with_sound(tmp_path / "a.flv", 50, 0.0, 60)
    cut_short(path)
    with pytest.raises(VideoError, match="breaks off"):
        frames_of(path, capture_options)


def test_streams_that_appear_after_opening_do_not_end_the_recording(tmp_path: Path) -> None:
    clip = replace(SMALL, seconds=40, rate=Fraction(5), flashes=(30, 150))  # longer than what is read at opening
    path = with_streams_that_appear_later(tmp_path / "a.ts", clip)
    with av.open(str(path)) as container:
        assert len(container.streams) == 1
    with open_video(path) as video:
        levels = [shown(frame)[60:].mean() for frame in video]
    assert len(levels) == clip.frames
    assert [number for number, level in enumerate(levels) if level > np.median(levels) + 30] == [30, 150]


def test_a_recording_is_opened_without_options(tmp_path: Path) -> None:
    with open_video(make_clip(tmp_path / "a.mp4", SMALL)) as video:
        assert len(list(video)) == SMALL.frames


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi", "a.h264"])
def test_a_second_iteration_gives_the_same_frames_again(name: str, tmp_path: Path) -> None:
    def facts(video: Video) -> list[tuple[int, int, float, int]]:
        return [(counter(shown(f)), f.number, f.seconds, f.epoch) for f in video]

    with open_video(make_clip(tmp_path / name, SMALL), history_seconds=1.0) as video:
        first = facts(video)
        assert len(first) == SMALL.frames
        assert facts(video) == first
        assert (video.cut(1.0, 1.2) is None) == (name == "a.h264")  # its packets carry no times


def test_a_damaged_frame_counts_once_in_each_iteration(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", replace(SMALL, seconds=4))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(np.random.default_rng(1).integers(0, 256, 4000, np.uint8))
    path.write_bytes(data)
    with open_video(path) as video:
        counts = [(len(list(video)), video.damaged) for _ in range(2)]
    assert counts[0] == counts[1]
    assert counts[0][1] > 0


def test_an_iteration_that_another_one_ended_says_so(tmp_path: Path) -> None:
    with open_video(make_clip(tmp_path / "a.mp4", replace(SMALL, seconds=4))) as video:
        first = iter(video)
        next(first)
        assert next(iter(video)).number == 0
        with pytest.raises(VideoError, match="open it twice"):
            list(first)


def test_a_closed_video_says_how_to_read_it_again(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", replace(SMALL, seconds=4))
    with open_video(path) as video:
        reading = iter(video)
        next(reading)
    with pytest.raises(VideoError, match="closed"):
        list(reading)
    with pytest.raises(VideoError, match=f"{path}: is closed; open it again"):
        list(video)


def test_a_growing_file_is_read_once_and_says_how_to_read_it_again(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.ts", SMALL)
    with open_video(GrowingFile(path, 0.1, lambda: False)) as video:
        assert len(list(video)) == SMALL.frames
        with pytest.raises(VideoError, match="is read once; open it again"):
            list(video)


def test_a_recording_that_is_gone_when_it_is_read_again_is_named(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", SMALL)
    with open_video(path) as video:
        list(video)
        path.unlink()
        with pytest.raises(OpenError, match=str(path)):
            list(video)
