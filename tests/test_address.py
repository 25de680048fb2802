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
        "roof: rtsp://[fe80::1]:554/live: no picture for 12 s",
        "model openbmb/tiny@abc: ready at 12:30",
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
