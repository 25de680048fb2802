"""What an address may open: nothing beside itself, whatever a file is called and a server answers."""

from pathlib import Path

import pytest

from helpers.media import Clip, make_clip
from helpers.web import web_server
from stream import Camera, CameraStatus, CaptureOptions, OpenError, open_video
from stream.capture.allowed import FORMATS
from stream.capture.web import Neighbourhood, WebError

SMALL = Clip(seconds=1, size=(320, 180))
OPENING_OTHERS = ("hls", "concat", "sdp", "image2", "dash", "imf", "webm_dash_manifest", "vobsub", "avs", "lavfi")


def refusal(address: str, options: CaptureOptions) -> str:
    """The first complaint of a camera at `address`."""
    states: list[CameraStatus] = []

    def stop(status: CameraStatus) -> None:
        states.append(status)
        camera.stop()

    camera = Camera("page", address, options, on_state=stop)
    with camera:
        assert not list(camera)
    return str(states[0].last_error)


def test_no_format_that_opens_others_is_read() -> None:
    assert not set(OPENING_OTHERS) & set(FORMATS.split(","))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{piece}\n#EXT-X-ENDLIST\n", "playlist"),
        ("ffconcat version 1.0\nfile {piece}\n", "list of files"),
        ("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n", "SDP"),
    ],
)
def test_a_file_named_mp4_that_is_a_playlist_or_a_script_opens_nothing_beside_it(
    script: str, said: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    with web_server({"/piece.ts": make_clip(tmp_path / "piece.ts", SMALL).read_bytes()}) as server:
        for piece in ("piece.ts", f"{server.address}/piece.ts"):
            (tmp_path / "storm.mp4").write_text(script.format(piece=piece))
            with pytest.raises(OpenError, match=said):
                open_video(tmp_path / "storm.mp4", options=capture_options)
        assert not server.asked


@pytest.mark.parametrize("script", ["#EXTM3U\n#EXTINF:1,\n{url}\n", "ffconcat version 1.0\nfile {url}\n"])
def test_a_camera_that_answers_with_a_playlist_or_a_script_makes_us_ask_no_other_host(
    script: str, tmp_path: Path, capture_options: CaptureOptions
) -> None:
    with web_server({"/x.ts": make_clip(tmp_path / "x.ts", SMALL).read_bytes()}) as inside:
        url = f"{inside.address}/x.ts"
        with web_server({"/video": script.format(url=url).encode()}) as camera:
            assert "not with video" in refusal(f"{camera.address}/video", capture_options)
            with pytest.raises(OpenError, match="not with video"):
                open_video(f"{camera.address}/video", options=capture_options)
        assert not inside.asked


def test_a_redirect_to_another_server_is_refused_and_named(tmp_path: Path, capture_options: CaptureOptions) -> None:
    with (
        web_server({"/x.ts": make_clip(tmp_path / "x.ts", SMALL).read_bytes()}) as inside,
        web_server({"/video": f"{inside.address}/x.ts"}) as camera,
    ):
        where = inside.address.removeprefix("http://")
        assert f"sends us on to {where}" in refusal(f"{camera.address}/video", capture_options)
        with pytest.raises(OpenError, match="may not choose other hosts"):
            open_video(f"{camera.address}/video", options=capture_options)
        assert not inside.asked


def test_a_redirect_within_the_same_server_is_followed(tmp_path: Path, capture_options: CaptureOptions) -> None:
    with web_server({"/video": "/x.ts", "/x.ts": make_clip(tmp_path / "x.ts", SMALL).read_bytes()}) as server:
        with open_video(f"{server.address}/video", options=capture_options) as video:
            assert len(list(video)) == 25
        with Camera("page", f"{server.address}/video", capture_options) as camera:
            assert len([frame for frame, _ in zip(camera, range(20), strict=False)]) == 20


def test_kinds_of_addresses_that_are_not_on_the_list_are_refused(capture_options: CaptureOptions) -> None:
    for address in ("concat://a.ts|b.ts", "subfile://x", "data://x", "ftp://host/x.mp4", "file:///etc/passwd"):
        with pytest.raises(OpenError, match="not supported"):
            open_video(address, options=capture_options)


def test_a_playlist_from_the_internet_or_a_file_may_not_name_hosts_of_this_network() -> None:
    for own in (Neighbourhood(None, frozenset()), Neighbourhood("example.org", frozenset({"public"}))):
        for host in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.1.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"):
            with pytest.raises(WebError, match="which nothing from elsewhere may name"):
                own.address_for(host, 80)
        assert own.address_for("8.8.8.8", 80) == "8.8.8.8"


def test_a_playlist_of_this_network_may_name_its_own_kind_of_host_but_never_the_keys_of_a_cloud() -> None:
    local = Neighbourhood.of("http://192.168.1.5/live.m3u8")
    assert local.address_for("192.168.1.6", 80) == "192.168.1.6"
    for host in ("127.0.0.1", "169.254.169.254"):
        with pytest.raises(WebError, match=host):
            local.address_for(host, 80)
    linked = Neighbourhood.of("http://169.254.1.2/live.m3u8")
    assert linked.address_for("169.254.1.2", 80) == "169.254.1.2"
    with pytest.raises(WebError, match=r"169\.254\.169\.254"):
        linked.address_for("169.254.169.254", 80)
