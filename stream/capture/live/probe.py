"""Probe a camera for some seconds: its stream, its times, and one image."""

import time
from dataclasses import dataclass, field
from statistics import median
from threading import Timer

import numpy as np
from numpy.typing import NDArray

from stream.capture.frame import Frame
from stream.capture.live.camera import Camera
from stream.capture.live.connection import Connected, Item, Packet
from stream.capture.options import CaptureOptions
from stream.capture.status import Clock

_IMAGE_AFTER_SECONDS = 1.0  # a camera may still adjust its exposure in the first frames


@dataclass(slots=True)
class CameraProbe:
    """The result of probing a camera.

    Attributes:
        name: name of the camera.
        error: why there is no frame; None if there is one.
        codec: name of its codec; "" if frames arrive decoded.
        size: (width, height) of a frame in pixels.
        stated_fps: frames per second as the stream states; None if it does not.
        fps: measured frames per second.
        megabits: measured megabits per second.
        first_frame_seconds: from the start to the first frame.
        key_seconds: the longest time between key frames; None if fewer than two came.
        reports: RTCP sender reports received.
        clock: where the UTC of frames comes from.
        utc_error_ms: bound on the error of UTC in milliseconds.
        latency_seconds: from capture by the camera's own clock to arrival by this computer's; None without such a
            clock.
        clock_problem: what is wrong with the camera's clock.
        damaged: frames that may be damaged.
        frames: frames received.
        image: one frame, (height, width, 3) uint8, upright.
        level: mean luma of that frame, 0..255.
        dark_share: share of its pixels below 8.
        bright_share: share of its pixels from 250 up.
    """

    name: str
    error: str | None = None
    codec: str = ""
    size: tuple[int, int] | None = None
    stated_fps: float | None = None
    fps: float = 0.0
    megabits: float = 0.0
    first_frame_seconds: float | None = None
    key_seconds: float | None = None
    reports: int = 0
    clock: Clock = "none"
    utc_error_ms: float | None = None
    latency_seconds: float | None = None
    clock_problem: str | None = None
    damaged: int = 0
    frames: int = 0
    image: NDArray[np.uint8] | None = field(default=None, repr=False)
    level: float = 0.0
    dark_share: float = 0.0
    bright_share: float = 0.0


@dataclass(slots=True)
class _Tap:
    """Count packets before they are decoded."""

    probe: CameraProbe
    bytes: int = 0
    keys: list[float] = field(default_factory=list)
    first: float | None = None
    last: float = 0.0

    def take(self, item: Item) -> None:
        if isinstance(item, Connected):
            self.probe.codec = item.codec.name if item.codec else ""
            self.probe.stated_fps = 1 / item.frame_seconds if item.frame_seconds > 0 and item.stamps else None
        elif isinstance(item, Packet):
            self.first = item.arrival if self.first is None else self.first
            self.last = item.arrival
            self.bytes += item.packet.size
            self.probe.reports += item.report is not None
            if item.key:
                self.keys.append(item.arrival)


def probe_camera(name: str, address: str, options: CaptureOptions, seconds: float) -> CameraProbe:
    """Watch a camera for `seconds` after its first frame; never raise.

    A camera that does not answer is given up after its open limit.

    Returns:
        what was seen.
    """
    probe = CameraProbe(name)
    tap = _Tap(probe)
    began = time.monotonic()
    latencies: list[float] = []
    camera = Camera(name, address, options, tap=tap.take)
    limit = Timer(options.open_seconds + options.stall_seconds, camera.stop)
    limit.daemon = True
    limit.start()
    first = last = 0.0
    try:
        with camera as frames:
            for frame in frames:
                now = time.monotonic()
                if probe.first_frame_seconds is None:
                    limit.cancel()
                    probe.first_frame_seconds, first = now - began, frame.arrival
                last = frame.arrival
                _count(probe, frame, latencies)
                if probe.image is None and now - began - probe.first_frame_seconds >= _IMAGE_AFTER_SECONDS:
                    _look(probe, frame)
                if frame.arrival - first >= seconds:
                    break
            if probe.image is None and probe.frames:
                _look(probe, frame)
    except Exception as error:  # noqa: BLE001 - told as this camera's result
        probe.error = f"{type(error).__name__}: {error}"
    finally:
        limit.cancel()
    status = camera.status
    probe.clock_problem = status.clock_problem
    if probe.frames:
        span = last - first
        probe.fps = (probe.frames - 1) / span if span > 0 else 0.0
        gaps = [later - earlier for earlier, later in zip(tap.keys, tap.keys[1:], strict=False)]
        probe.key_seconds = max(gaps, default=None)
        if tap.first is not None and tap.last > tap.first:
            probe.megabits = tap.bytes * 8e-6 / (tap.last - tap.first)
        probe.latency_seconds = median(latencies) if latencies else None
    else:
        probe.error = probe.error or status.last_error or f"no frame within {options.open_seconds:g} s"
    return probe


def _count(probe: CameraProbe, frame: Frame, latencies: list[float]) -> None:
    probe.frames += 1
    probe.damaged += bool(frame.quality)
    probe.clock, probe.utc_error_ms = frame.clock, frame.utc_error_ms
    if frame.clock == "rtcp" and frame.utc is not None:
        arrived = time.time() - (time.monotonic() - frame.arrival)
        latencies.append(arrived - frame.utc)


def _look(probe: CameraProbe, frame: Frame) -> None:
    probe.image = frame.rgb()
    probe.size = (probe.image.shape[1], probe.image.shape[0])
    levels = np.clip(frame.levels(frame.luma[::2, ::2]), 0, 255)
    probe.level = float(levels.mean())
    probe.dark_share = float((levels < 8).mean())
    probe.bright_share = float((levels >= 250).mean())
