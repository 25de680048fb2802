"""Playlists of HLS: recordings and live, from files and over http, and what they may name."""

import itertools
import threading
import time
from pathlib import Path

import av
import pytest

from helpers.media import Clip, counter, make_clip
from helpers.waiting import wait_until
from helpers.web import Answer, web_server
from stream import Camera, CaptureOptions, Frame, OpenError, open_video
from stream.capture.hls import parse_playlist
from stream.capture.web import Neighbourhood, WebError, fetch

SECONDS = 2


def segments(folder: Path, count: int, kind: str = "ts") -> list[bytes]:
    """Segments of `SECONDS` each, whose counters and time stamps go on from one to the next."""
    whole = make_clip(folder / "whole.mp4", Clip(seconds=count * SECONDS, size=(320, 180), key_seconds=SECONDS))
    made: list[bytes] = []
    with av.open(str(whole)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number in range(count):
            part = folder / f"{number}.{kind}"
            with av.open(str(part), "w", options={"mpegts_copyts": "1"}) as output:
                stream = output.add_stream_from_template(source.streams.video[0])
                for packet in packets[number * SECONDS * 25 : (number + 1) * SECONDS * 25]:
                    packet.stream = stream
                    output.mux(packet)
            made.append(part.read_bytes())
    return made


def playlist(names: list[str], *, first: int = 0, end: bool = True) -> bytes:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SECONDS}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    lines += [line for name in names for line in (f"#EXTINF:{SECONDS}.0,", name)]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if end else [])]).encode()


def numbers(frames: list[Frame]) -> list[int]:
    return [counter(f.levels(f.luma)) for f in frames]


def test_a_recording_as_a_playlist_is_read_from_a_file_and_over_http(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    parts = segments(tmp_path, 3)
    pages: dict[str, Answer] = {f"/v/{n}.ts": part for n, part in enumerate(parts)}
    listed = playlist([f"{n}.ts" for n in range(3)])
    (tmp_path / "list.m3u8").write_bytes(listed)
    master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9000\nv/low.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=90000\nv/high.m3u8\n"
    with web_server(pages | {"/v/high.m3u8": listed, "/master.m3u8": master}) as server:
        for address in (str(tmp_path / "list.m3u8"), f"{server.address}/master.m3u8"):
            with open_video(address, options=capture_options) as video:
                frames = list(video)
            assert numbers(frames) == list(range(150))
            assert [f.seconds for f in frames] == pytest.approx([n / 25 for n in range(150)], abs=0.002)


@pytest.mark.parametrize(
    ("dates", "first", "error_ms"),
    [
        ({0: "2026-11-22T21:29:03.412Z"}, 1795382943.412, 40),
        ({1: "2026-11-22T22:29:05.412+01:00"}, 1795382943.412, 40),
        ({0: "2026-11-22T21:29:03.412Z", 2: "2026-11-22T21:29:08.412Z"}, 1795382943.412, 1040),
        ({0: "2026-11-22T21:29:03.412"}, None, None),
    ],
)
def test_dates_in_a_playlist_tell_when_its_frames_were_taken(
    dates: dict[int, str], first: float | None, error_ms: float | None, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    segments(tmp_path, 3)
    lines = playlist(["0.ts", "1.ts", "2.ts"]).decode().splitlines()
    for number, date in sorted(dates.items(), reverse=True):
        lines.insert(lines.index(f"{number}.ts") - 1, f"#EXT-X-PROGRAM-DATE-TIME:{date}")
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    with open_video(tmp_path / "list.m3u8", options=capture_options) as video:
        frames = list(video)
    if first is None:
        assert {frame.clock for frame in frames} == {"none"}
        return
    assert {frame.clock for frame in frames} == {"file"}
    assert [frame.utc for frame in frames] == pytest.approx([first + n / 25 for n in range(150)], abs=0.002)
    assert frames[0].utc_error_ms == pytest.approx(error_ms)


def test_a_segment_that_is_missing_leaves_a_gap_in_time(tmp_path: Path, capture_options: CaptureOptions) -> None:
    segments(tmp_path, 3)
    (tmp_path / "list.m3u8").write_bytes(playlist(["0.ts", "gone.ts", "2.ts"]))
    with open_video(tmp_path / "list.m3u8", options=capture_options) as video:
        frames = list(video)
    assert numbers(frames) == [*range(50), *range(100, 150)]
    assert frames[50].seconds == pytest.approx(4.0, abs=0.002)
    assert frames[50].epoch > frames[49].epoch


@pytest.mark.alone
def test_a_live_playlist_is_watched_from_near_its_end_and_steadily(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    parts = segments(tmp_path, 8)
    pages: dict[str, Answer] = {f"/{n}.ts": part for n, part in enumerate(parts)}
    began = time.monotonic()

    def now() -> bytes:
        newest = 4 + min(4, int((time.monotonic() - began) / SECONDS))
        return playlist([f"{n}.ts" for n in range(newest - 4, newest)], first=newest - 4, end=False)

    with (
        web_server({**pages, "/live.m3u8": now}) as server,
        Camera("sky", f"{server.address}/live.m3u8", capture_options) as camera,
    ):
        frames, came = [], []
        for frame in camera:
            frames.append(frame)
            came.append(time.monotonic())
            if len(frames) == 200:
                break
        assert numbers(frames) == list(range(50, 250))
        assert max(later - earlier for earlier, later in itertools.pairwise(came)) < 1.0
        assert {(f.utc, f.clock) for f in frames} == {(None, "none")}
        assert camera.status.reconnects == 0


def test_a_camera_stops_while_its_playlist_waits_for_a_segment(tmp_path: Path, capture_options: CaptureOptions) -> None:
    with web_server({"/0.ts": segments(tmp_path, 1)[0], "/live.m3u8": playlist(["0.ts"], end=False)}) as server:
        camera = Camera("sky", f"{server.address}/live.m3u8", capture_options)
        thread = threading.Thread(target=lambda: list(camera))
        thread.start()
        wait_until(lambda: camera.status.frames, 20, "the first segment is shown")
        began = time.monotonic()
        camera.close()
        thread.join(3)
        assert not thread.is_alive()
        assert time.monotonic() - began < 3


def test_a_playlist_that_is_complete_is_no_camera(tmp_path: Path, capture_options: CaptureOptions) -> None:
    states = []
    with web_server({"/0.ts": segments(tmp_path, 1)[0], "/list.m3u8": playlist(["0.ts"])}) as server:
        camera = Camera("sky", f"{server.address}/list.m3u8", capture_options, on_state=states.append)
        timer = threading.Timer(0.5, camera.stop)
        timer.start()
        with camera:
            assert not list(camera)
        timer.join()
    assert "use replay" in str(states[0].last_error)
    assert states[0].refused


def test_a_playlist_in_a_file_opens_files_of_its_own_folder_only(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    secret = make_clip(tmp_path / "secret.ts", Clip(seconds=1, size=(320, 180)))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "link.ts").symlink_to(secret)
    for name in ("../secret.ts", str(secret), secret.as_uri(), "link.ts"):
        (tmp_path / "lists" / "a.m3u8").write_bytes(playlist([name] * 2))
        with pytest.raises(OpenError), open_video(tmp_path / "lists" / "a.m3u8", options=capture_options) as video:
            list(video)


def test_a_playlist_in_a_file_asks_no_host_of_this_network(tmp_path: Path, capture_options: CaptureOptions) -> None:
    with web_server({"/0.ts": segments(tmp_path, 1)[0]}) as inside:
        (tmp_path / "a.m3u8").write_bytes(playlist([f"{inside.address}/0.ts"]))
        with pytest.raises(OpenError), open_video(tmp_path / "a.m3u8", options=capture_options) as video:
            list(video)
        assert not inside.asked


def test_a_playlist_that_redirects_a_segment_into_this_network_gets_nothing(
    tmp_path: Path, capture_options: CaptureOptions
) -> None:
    with web_server({"/0.ts": segments(tmp_path, 1)[0]}) as inside:
        away = Neighbourhood("8.8.8.8", frozenset({"public"}))
        with pytest.raises(WebError, match="may name"):
            fetch(f"{inside.address}/0.ts", away, capture_options)
        assert not inside.asked


def test_encrypted_segments_are_refused_in_words(tmp_path: Path, capture_options: CaptureOptions) -> None:
    (tmp_path / "a.m3u8").write_text('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:2,\n0.ts\n#EXT-X-ENDLIST\n')
    with pytest.raises(OpenError, match=r"encrypted \(AES-128\)"):
        open_video(tmp_path / "a.m3u8", options=capture_options)


@pytest.mark.parametrize("text", ["", "no playlist", "#EXTM3U\n#EXT-X-TARGETDURATION:x\n", "#EXTM3U\n#EXT-X-MAP:X=1\n"])
def test_what_is_no_playlist_is_refused_in_one_line(text: str, tmp_path: Path, capture_options: CaptureOptions) -> None:
    (tmp_path / "a.m3u8").write_text(text + "#EXT-X-ENDLIST")
    with pytest.raises(OpenError, match=r"a\.m3u8: "):
        open_video(tmp_path / "a.m3u8", options=capture_options)


def test_parts_of_one_file_and_what_stands_before_them_are_found() -> None:
    text = '#EXTM3U\n#EXT-X-MAP:URI="f.mp4",BYTERANGE="10@0"\n#EXTINF:2,\n#EXT-X-BYTERANGE:20@10\nf.mp4\n'
    listed = parse_playlist(text + "#EXTINF:2,\n#EXT-X-BYTERANGE:30\nf.mp4\n", "http://host/a.m3u8")
    (first, head), (second, none) = listed.segments
    assert head is not None
    assert (head.span, first.span, second.span, none) == ((0, 10), (10, 20), (30, 30), None)
    assert first.url == "http://host/f.mp4"
