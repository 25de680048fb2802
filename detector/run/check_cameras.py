"""Check cameras before they are watched: what is wrong with each, and what to set."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import OutputError
from detector.output.files import write_whole
from detector.run.cameras import CameraEntry
from stream import CameraProbe, load_opencv, probe_camera

KEY_SECONDS = 2.0
"""Longest recommended time between key frames: damage after a loss lasts until the next one, and clips begin there."""
_RATE_LOW = 0.8  # of the stated rate; below it the camera drops frames, often because of long exposure at night
_LEAST_FPS = 10.0
_LATENCY_SECONDS = 5.0
_BLACK_SHARE, _BLOWN_SHARE = 0.995, 0.25
_LEAST_WATCHED = 0.01
_JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class CameraReport:
    """The result for one camera.

    Attributes:
        probe: the measurements.
        warnings: what a person should change.
        image: the image file, if one was written.
    """

    probe: CameraProbe
    warnings: tuple[str, ...]
    image: Path | None = None

    @property
    def failed(self) -> bool:
        """Whether the camera cannot be watched."""
        return self.probe.error is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dictionary for JSON."""
        probe = self.probe
        rounded = {
            "fps": round(probe.fps, 2),
            "stated_fps": None if probe.stated_fps is None else round(probe.stated_fps, 2),
            "megabits": round(probe.megabits, 2),
            "first_frame_seconds": None if probe.first_frame_seconds is None else round(probe.first_frame_seconds, 2),
            "key_seconds": None if probe.key_seconds is None else round(probe.key_seconds, 2),
            "latency_seconds": None if probe.latency_seconds is None else round(probe.latency_seconds, 3),
            "mean_level": round(probe.level, 1),
        }
        return {
            "camera": probe.name,
            "ok": not self.failed,
            "error": probe.error,
            "warnings": list(self.warnings),
            "codec": probe.codec,
            "size": probe.size,
            **rounded,
            "sender_reports": probe.reports,
            "clock": probe.clock,
            "utc_error_ms": probe.utc_error_ms,
            "damaged": probe.damaged,
            "frames": probe.frames,
            "image": None if self.image is None else str(self.image),
        }


def check_cameras(cameras: Sequence[CameraEntry], seconds: float, images: Path | None) -> list[CameraReport]:
    """Check all `cameras` at the same time.

    Args:
        cameras: the cameras to check.
        seconds: how long each is watched after its first frame.
        images: folder for an image of each with mask and region drawn; None writes none.

    Returns:
        one report for each camera, in the order of `cameras`.

    Raises:
        OutputError: an image cannot be written.
    """
    with ThreadPoolExecutor(max(1, len(cameras)), thread_name_prefix="check") as pool:
        probes = list(pool.map(lambda one: probe_camera(one.name, one.address, one.capture, seconds), cameras))
    reports = []
    for entry, probe in zip(cameras, probes, strict=True):
        path = None
        if images is not None and probe.image is not None:
            path = images / f"{entry.name}.jpg"
            _write(path, drawn(probe.image, entry))
        reports.append(CameraReport(probe, tuple(warnings_of(probe, entry)), path))
    return reports


def warnings_of(probe: CameraProbe, entry: CameraEntry) -> list[str]:
    """Return the problems of a camera, with what to set."""
    found: list[str] = []
    if entry.watched_share < _LEAST_WATCHED:
        found.append(f"mask and region leave {entry.watched_share:.1%} of the frame")
    if probe.error is not None:
        return found
    if probe.key_seconds is not None and probe.key_seconds > KEY_SECONDS:
        found.append(
            f"a key frame only every {probe.key_seconds:.1f} s: after a loss nothing is seen until the next; set the "
            "camera's key frame (I-frame, GOP) interval to 1 or 2 s"
        )
    if probe.stated_fps is not None and probe.fps < _RATE_LOW * probe.stated_fps:
        found.append(
            f"{probe.fps:.1f} frames a second came, the stream states {probe.stated_fps:.1f}: long exposure at night, "
            "or a weak network; limit the exposure to 1/25 s"
        )
    if probe.fps < _LEAST_FPS:
        found.append(f"{probe.fps:.1f} frames a second: strokes between frames are missed; set 25 or more")
    if probe.clock_problem:
        found.append(probe.clock_problem)
    elif probe.clock != "rtcp":
        found.append("no sender reports with the camera's time: times come from arrival here, with a wider bound")
    if probe.latency_seconds is not None and not -1.0 < probe.latency_seconds < _LATENCY_SECONDS:
        found.append(
            f"its clock and this computer's differ by {abs(probe.latency_seconds):.1f} s; let both follow a time server"
        )
    if probe.damaged:
        found.append(f"{probe.damaged} of {probe.frames} frames may be damaged: packets are lost; try transport tcp")
    if probe.dark_share > _BLACK_SHARE:
        found.append("its image is black: a cap on the lens, or an exposure too short for night")
    if probe.bright_share > _BLOWN_SHARE:
        found.append(
            f"{probe.bright_share:.0%} of its image is blown out: flashes there cannot be seen; lower exposure"
        )
    return found


def drawn(image: NDArray[np.uint8], entry: CameraEntry) -> NDArray[np.uint8]:
    """Return `image` with the parts that are not watched in red and outlined."""
    cv2 = load_opencv()
    height, width = image.shape[:2]
    unwatched = np.zeros((height, width), np.uint8)
    if entry.region is not None:
        left, top, right, bottom = entry.region
        unwatched[:] = 1
        unwatched[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 0
    outlines = [
        np.array([(round(x * (width - 1)), round(y * (height - 1))) for x, y in polygon], np.int32)
        for polygon in entry.mask
    ]
    for outline in outlines:
        cv2.fillPoly(unwatched, [outline], 1)
    shown = image.copy()
    tint = np.array([200, 30, 60], np.float32)
    where = unwatched.astype(bool)
    shown[where] = (shown[where] * 0.55 + tint * 0.45).astype(np.uint8)
    thick = max(1, width // 640)
    for outline in outlines:
        cv2.polylines(shown, [outline], isClosed=True, color=(255, 255, 255), thickness=thick)
    if entry.region is not None:
        corners = ((round(left * width), round(top * height)), (round(right * width) - 1, round(bottom * height) - 1))
        cv2.rectangle(shown, *corners, (255, 255, 255), thick)
    return shown


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    cv2 = load_opencv()
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, [bytes(data)])
    except OSError as error:
        raise OutputError(f"{path}: cannot write the image: {error.strerror}") from error
