"""Cameras with several scenes in one session: each is watched under a name of its own, and nothing else is touched."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from detector.run.cameras import CameraEntry
from detector.run.lenses import Lenses
from detector.settings import Settings
from helpers.media import Clip, make_clip, upside_down
from helpers.plain_camera import PlainCamera
from helpers.waiting import wait_until
from stream import CaptureOptions


@dataclass
class Worker:
    """What the pool knows of a camera."""

    name: str
    streams: int


def entry(name: str, address: str, options: CaptureOptions, stream: int = 0) -> CameraEntry:
    capture = msgspec.structs.replace(options, stream=stream)
    return CameraEntry(name, address, msgspec.structs.replace(Settings(), capture=capture))


@pytest.fixture
def two_scenes(tmp_path: Path) -> Iterator[PlainCamera]:
    """A camera whose session has two video tracks of different scenes."""
    first = make_clip(tmp_path / "first.ts", Clip(seconds=2, size=(320, 180)))
    second = upside_down(first, tmp_path / "second.ts")
    with PlainCamera(first, second=second).running() as camera:
        yield camera


def settled(lenses: Lenses, cameras: list[CameraEntry]) -> bool:
    """Whether anything new was found out about the first camera, which sends two streams."""
    workers = [Worker(cameras[0].name, 2)]
    found: list[bool] = []
    wait_until(lambda: found.append(lenses.step(cameras, workers)) or found[-1], 20, "the streams are compared")  # type: ignore[arg-type, func-returns-value]
    return found[-1]


def test_a_camera_that_sends_two_scenes_becomes_two_cameras(
    two_scenes: PlainCamera, capture_options: CaptureOptions
) -> None:
    cameras = [entry("roof", two_scenes.url, capture_options), entry("door", "rtsp://nowhere/x", capture_options)]
    lenses = Lenses()
    assert lenses.expanded(cameras) == tuple(cameras)
    assert settled(lenses, cameras)
    parts = lenses.expanded(cameras)
    assert [(part.name, part.capture.stream) for part in parts] == [("roof-1", 1), ("roof-2", 2), ("door", 0)]
    assert parts[2] is cameras[1]


def test_a_name_that_another_camera_has_is_refused_and_one_stream_watched(
    two_scenes: PlainCamera, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    cameras = [entry("roof", two_scenes.url, capture_options), entry("roof-2", "rtsp://nowhere/x", capture_options)]
    lenses = Lenses()
    assert settled(lenses, cameras)
    with caplog.at_level(logging.ERROR):
        assert lenses.expanded(cameras) == tuple(cameras)
    assert "roof: sends 2 scenes, but 'roof-2' is another camera's name" in caplog.text


def test_a_stream_that_the_settings_name_stays_alone(two_scenes: PlainCamera, capture_options: CaptureOptions) -> None:
    cameras = [entry("roof", two_scenes.url, capture_options, stream=2)]
    lenses = Lenses()
    assert not lenses.step(cameras, [Worker("roof", 2)])  # type: ignore[list-item]
    assert lenses.expanded(cameras) == tuple(cameras)
