"""Cameras in a settings file."""

import tomllib
from typing import Any

import pytest

from detector.errors import SettingsError
from detector.run.cameras import load_cameras
from helpers import ROOT

EXAMPLE = ROOT / "configs" / "cameras.example.toml"
SECRETS = {"CAMERA_USER": "watch", "CAMERA_PASSWORD": "p@ss/w:rd"}


def table(text: str) -> list[tuple[str, dict[str, Any]]]:
    return [("cameras.toml", tomllib.loads(text))]


def test_the_example_file_is_read_as_it_says() -> None:
    settings, (north, south, window) = load_cameras([("example", tomllib.loads(EXAMPLE.read_text()))], SECRETS)
    assert [north.name, south.name, window.name] == ["roof-north", "roof-south", "window"]
    assert settings.capture.stall_seconds == 6.0
    assert (north.capture.transport, south.capture.transport) == ("tcp", "auto")
    assert north.mask[0] == ((0.0, 0.9), (1.0, 0.9), (1.0, 1.0), (0.0, 1.0))
    assert len(north.mask[1]) == 3
    assert (north.region, south.region) == (None, (0.0, 0.0, 1.0, 0.6))
    assert (north.settings.prefilter.min_rise_levels, south.settings.prefilter.min_rise_levels) == (3.0, 5.0)


def test_a_camera_says_beside_its_address_whose_clock_is_asked_and_which_latency_is_known() -> None:
    text = '[[camera]]\nurl = "rtsp://a"\ntimes = "arrival"\noffset_seconds = 0.4\n[[camera]]\nurl = "rtsp://b"'
    _, (told, plain) = load_cameras(table(text))
    assert (told.capture.times, told.capture.offset_seconds) == ("arrival", 0.4)
    assert (plain.capture.times, plain.capture.offset_seconds) == ("auto", 0.0)


def test_passwords_come_from_the_environment_and_may_hold_any_sign() -> None:
    _, (north, *_) = load_cameras([("example", tomllib.loads(EXAMPLE.read_text()))], SECRETS)
    assert north.address == "rtsp://watch:p%40ss%2Fw%3Ard@192.168.1.20/stream1"
    assert "p%40ss" not in repr(north)


def test_a_missing_variable_is_named_with_its_camera() -> None:
    with pytest.raises(SettingsError, match=r"camera 1 \(roof-north\): the environment variable CAMERA_PASSWORD"):
        load_cameras([("example", tomllib.loads(EXAMPLE.read_text()))], {"CAMERA_USER": "u"})


def test_flags_win_over_a_cameras_own_settings_and_those_over_the_file() -> None:
    text = '[prefilter]\ngap_seconds = 0.3\n[[camera]]\nurl = "rtsp://a/b"\n[camera.prefilter]\ngap_seconds = 0.4'
    _, (camera,) = load_cameras(table(text))
    assert camera.settings.prefilter.gap_seconds == 0.4
    _, (camera,) = load_cameras([*table(text), ("--set", {"prefilter": {"gap_seconds": 0.6}})])
    assert camera.settings.prefilter.gap_seconds == 0.6


def test_a_camera_without_a_name_gets_one_from_its_address() -> None:
    _, (camera,) = load_cameras(table('[[camera]]\nurl = "rtsp://u:p@roof.example/ch1"'))
    assert camera.name == "roof-example-ch1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[camera]]\nname = "a"', "camera 1 .a.: .*url"),
        ('[[camera]]\nurl = "rtsp://a"\ncolour = 1', "camera 1: .*colour"),
        ('[[camera]]\nurl = "rtsp://a"\nname = "Roof 1"', "camera 1 .Roof 1.: .*name"),
        ('[[camera]]\nurl = "rtsp://a"\nname = "Roof 1"', "Expected 1 to 32 of a-z, 0-9 and '-'"),
        ('[[camera]]\nurl = "rtsp://a"\ntransport = "smoke"', "camera 1: capture.transport = 'smoke'"),
        ('[[camera]]\nurl = "rtsp://a"\ntimes = "noon"', "camera 1: capture.times = 'noon'"),
        ('[[camera]]\nurl = "rtsp://a"\nregion = [0.5, 0, 0.4, 1]', "left < right"),
        ('[[camera]]\nurl = "rtsp://a"\nregion = [0, 0, 1.5, 1]', "region"),
        ('[[camera]]\nurl = "rtsp://a"\nmask = [{}]', "either"),
        ('[[camera]]\nurl = "rtsp://a"\nmask = [{polygon = [[0, 0], [1, 1]]}]', "polygon"),
        ('[[camera]]\nurl = "rtsp://a"\n[camera.prefilter]\ngap = 1', "camera 1: unknown setting 'prefilter.gap'"),
        ('[[camera]]\nurl = "rtsp://a"\n[[camera]]\nurl = "rtsp://a"', "two cameras are called 'a'"),
        ('[camera]\nurl = "rtsp://a"', "two brackets"),
    ],
)
def test_what_is_wrong_is_named_with_the_camera(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_cameras(table(text))
