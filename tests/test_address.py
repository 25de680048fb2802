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
    ],
)
def test_no_user_name_password_or_token_is_shown(text: str) -> None:
    shown = redact(text)
    assert "***" in shown
    assert not {"joe", "hunter2", "ter2"} & set(shown.replace("@", " ").replace(":", " ").replace("=", " ").split())


def test_an_address_without_secrets_is_shown_as_it_is() -> None:
    assert redact("rtsp://10.0.0.1:554/live?channel=1") == "rtsp://10.0.0.1:554/live?channel=1"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/films/Big Storm (2).mp4", "big-storm-2"),
        ("rtsp://joe:pw@10.0.0.1:554/Streaming/1", "10-0-0-1-streaming-1"),
        ("/dev/video0", "video0"),
        ("????.mp4", "camera"),
        ("x" * 80 + ".mp4", "x" * 32),
    ],
)
def test_a_camera_name_has_at_most_32_letters_digits_and_hyphens(address: str, name: str) -> None:
    assert camera_name(address) == name
