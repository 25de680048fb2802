"""Addresses: what may be shown of them, and the names made from them."""

import pytest

from stream import camera_name, redact


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://joe:hunter2@10.0.0.1/a refused",
        "opening 'rtsp://joe:hunter2@cam/a'",
        "rtsp://joe:hun@ter2@cam/a",
        "rtsp://cam/a?user=joe&password=hunter2",
        "http://cam/video?token=hunter2&x=1",
        "http://cam/video?loginuse=joe&loginpas=hunter2",
        "rtsp://cam/user=joe_password=hunter2_channel=1_stream=0.sdp",
        "rtsp://cam/user=joe&password=hunter2&channel=1&stream=0.sdp?",
        "rtsp://cam/a;user=joe;password=hunter2",
        "joe:hunter2@10.0.0.1/a: not a camera",
        "rtsp:/joe:hunter2@10.0.0.1/a: no such file",
        "rtsp://joe:'hunter2@cam/a refused",
        'rtsp://joe:ter2"hunter2@cam/a refused',
        "rtsp://joe:ter2/hunter2@cam/a refused",
        "rtsp://joe:ter2?hunter2@cam/a refused",
        "rtsp://joe:1234/hunter2@10.0.0.1/a refused",
        "rtsp://joe:1234/hunter2@cam.lan/a refused",
        "rtsp://joe:70000/hunter2@cam/a refused",
        "rtsp://10.0.0.1:554/a,rtsp://joe:hunter2@cam/a",
        "rtsp://joe:hunter2@10.0.0.1/a,rtsp://joe:ter2@cam/a",
        "http://[fe80::1]/http://joe:hunter2@cam/a",
        "joe:hunter2@cam/user=joe_password=hunter2_channel=1",
        "10.0.0.1/user=joe_password=hunter2_channel=1",
        "cam/video?user=joe&password=hunter2",
    ],
)
def test_no_user_name_password_or_token_is_shown(text: str) -> None:
    shown = redact(text)
    assert "***" in shown
    assert not [secret for secret in ("joe", "hunter2", "ter2") if secret in shown], shown


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://10.0.0.1:554/live?channel=1",
        "roof: rtsp://[fe80::1]:554/live: no frame for 12 s",
        "model openbmb/tiny@abc: ready at 12:30",
        "rtsp://192.168.1.5:554/onvif/profile@1/media.smp",
        "rtsp://cam.lan:554/onvif/profile@1/media.smp",
        "http://[fe80::1]/a@b",
        "/footage/user=3.mp4: no video",
        "results/key=7_night.mp4",
        "footage/10:30@roof.mp4",
    ],
)
def test_an_address_without_secrets_is_shown_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_what_is_shown_can_be_in_a_message_though_it_was_typed_in_another_code() -> None:
    assert redact("rtsp://10.0.0.1/k\udcf6ln").encode() == b"rtsp://10.0.0.1/k\\udcf6ln"


def test_what_is_shown_of_an_address_still_names_the_camera_and_what_happened() -> None:
    address = "rtsp://cam/user=joe_password=a_b_channel=1_stream=0.sdp"
    assert redact(address) == "rtsp://cam/user=***_password=***_channel=1_stream=0.sdp"
    assert redact("http://cam/?password=abc: 10.0.0.1:80 refused") == "http://cam/?password=***: 10.0.0.1:80 refused"
    assert redact("rtsp://joe:p/w@10.0.0.1:554/profile@1/a") == "rtsp://***@10.0.0.1:554/profile@1/a"


@pytest.mark.parametrize("piece", ["://a:", "://", "://a:1/", "/login", "a:", ":::"])
def test_a_password_is_found_behind_and_before_a_very_long_word(piece: str) -> None:
    word = piece * (60_000 // len(piece))  # minutes, if the time grew with its square
    assert redact(f"{word} rtsp://joe:pw@cam/a {word}") == f"{word} rtsp://***@cam/a {word}"
    assert redact(f"rtsp://joe:{word}@cam/a@{word}").startswith("rtsp://***@")
    assert len(camera_name(f"{word}://{word}@{word}")) <= 32


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/films/Big Storm (2).mp4", "big-storm-2"),
        ("rtsp://joe:pw@10.0.0.1:554/Streaming/1", "10-0-0-1-streaming-1"),
        ("rtsp://10.0.0.1:554/user=joe_password=pw_channel=1_stream=0.sdp", "10-0-0-1-channel-1-stream-0-sdp"),
        ("rtsp://10.0.0.1/user=joe&password=pw&channel=1", "10-0-0-1-channel-1"),
        ("rtsp://joe:p/w@10.0.0.1/cam", "10-0-0-1-cam"),
        ("rtsp://joe:p w@10.0.0.1/cam", "10-0-0-1-cam"),
        ("joe:pw@10.0.0.1/cam", "cam"),
        ("rtsp://192.168.1.5:554/profile@1/a", "192-168-1-5-profile-1-a"),
        ("rtsp://joe:pw@192.168.1.6:554/profile@1/a", "192-168-1-6-profile-1-a"),
        ("rtsp://cam:554/profile@1/a", "cam-profile-1-a"),
        ("http://[fe80::1]/a@b", "fe80-1-a-b"),
        ("/films/Blitz_p=3.mp4", "blitz-p-3"),
        ("films/10:30@roof.mp4", "10-30-roof"),
        ("rtsp://[fe80::1]:554/cam", "fe80-1-cam"),
        ("rtsp://[::1/cam", "cam"),
        ("/dev/video0", "video0"),
        ("Sturm \u00fcber K\u00f6ln.mp4", "sturm-uber-koln"),
        ("Bo\u0308en am Fluss-Stra\u00dfe.mp4", "boen-am-fluss-strasse"),
        ("????.mp4", "camera"),
        ("x" * 80 + ".mp4", "x" * 32),
    ],
)
def test_a_camera_name_has_at_most_32_letters_digits_and_hyphens_and_nothing_secret(address: str, name: str) -> None:
    assert camera_name(address) == name
