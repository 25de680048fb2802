"""Recordings made of images: a folder of them, as all-sky cameras write, or an animated GIF, WebP or PNG."""

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stream.capture.addresses import redact
from stream.capture.clip_writer import Clip
from stream.capture.files.image_times import times_of
from stream.capture.frame import Frame
from stream.capture.opencv import load_opencv
from stream.capture.status import Clock
from stream.errors import OpenError, VideoError

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""File endings of single images."""

_ASSUMED_SECONDS = 1.0  # from image to image, if no times are known
_JUMP_INTERVALS = 5.0  # an image later than this many usual intervals begins a new epoch
_HEAD_BYTES = 256 * 1024  # start of an image file, which contains its size in pixels
_CHUNK_FRAMES = 32  # frames of an animation in memory at a time

Image = NDArray[Any]


class ImageSequence(ABC):
    """A recording made of images; it is used like a `Video`, and each iteration starts from the first image.

    Attributes:
        name: name of the camera.
        address: path of the folder or file.
        codec: file ending of the images.
        frame_rate: None: images state none.
        duration_seconds: from the first image to the end of the last.
        size: (width, height) of the last image in pixels.
        clock: where UTC comes from.
        damaged: images that could not be read.
        streams: 1.
    """

    def __init__(self, path: Path, name: str, start_utc: float | None, max_pixels: int) -> None:
        self.name = name
        self.address = redact(path)
        self.codec = path.suffix.lower().removeprefix(".")
        self.frame_rate: float | None = None
        self.duration_seconds: float | None = None
        self.size = (0, 0)
        self.clock: Clock = "none" if start_utc is None else "file"
        self.damaged = 0
        self.streams = 1
        self._path = path
        self._start_utc = start_utc
        self._max_pixels = max_pixels
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Refuse further iterations; nothing stays open."""
        self._closed = True

    def cut(self, start_seconds: float, end_seconds: float, utc_offset: float | None = None) -> Clip | None:
        """Return None: images are not cut as video."""
        del start_seconds, end_seconds, utc_offset
        return None

    @abstractmethod
    def _images(self) -> Iterator[tuple[Image | None, float, float]]:
        """Yield each image, or None if it cannot be read, with its time and duration in seconds."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield every image as a frame.

        Raises:
            VideoError: after the last image, if some could not be read; or the sequence is closed.
        """
        if self._closed:
            raise VideoError(f"{self.address}: is closed; open it again with open_video")
        self.damaged = number = epoch = 0
        last: float | None = None
        shape: tuple[int, ...] | None = None
        for image, seconds, duration in self._images():
            if image is None:
                self.damaged += 1
                continue
            late = last is not None and seconds - last > _JUMP_INTERVALS * duration
            epoch += late or (shape is not None and image.shape[:2] != shape)
            last, shape = seconds, image.shape[:2]
            self.size = (image.shape[1], image.shape[0])
            luma = _luma_of(image)
            yield Frame(
                camera=self.name,
                number=number,
                seconds=seconds,
                duration=duration,
                luma=luma,
                black=0,
                white=np.iinfo(luma.dtype).max,
                arrival=time.monotonic(),
                utc=None if self._start_utc is None else self._start_utc + seconds,
                clock=self.clock,
                utc_error_ms=None if self._start_utc is None else 1000 * duration,
                epoch=epoch,
                color=partial(_rgb_of, image),
            )
            number += 1
        if not number:
            raise VideoError(f"{self.address}: not one image could be read")
        if self.damaged:
            raise VideoError(f"{self.address}: {self.damaged} of {number + self.damaged} images could not be read")


class ImageFolder(ImageSequence):
    """The images of a folder, at the times in their EXIF data or names."""

    def __init__(self, folder: Path, name: str, start_utc: float | None, max_pixels: int) -> None:
        """Find the images without decoding any.

        Raises:
            OpenError: there are no images.
        """
        images = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
        images = sorted((file for file in images if not file.name.startswith(".")), key=_natural)
        if not images:
            raise OpenError(
                f"{folder}: is a folder without images; name a video file, or use replay, which takes folders",
                permanent=True,
            )
        super().__init__(images[0], name, start_utc, max_pixels)
        self.address = redact(folder)
        times, place = times_of(images)
        if times is None:
            log.warning(
                "%s: neither EXIF data nor names of its %d images tell when they were taken: %g s from one to the next "
                "is assumed, so times are their numbers",
                self.address,
                len(images),
                _ASSUMED_SECONDS,
            )
            times = [number * _ASSUMED_SECONDS for number in range(len(images))]
        else:
            log.info("%s: %d images, whose times are from their %s", self.address, len(images), place)
        in_order = sorted(zip(times, images, strict=True), key=lambda pair: pair[0])
        self._files = [(taken - in_order[0][0], file) for taken, file in in_order]
        steps = [later[0] - earlier[0] for earlier, later in zip(self._files, self._files[1:], strict=False)]
        self._interval = max(0.001, median(steps)) if steps else _ASSUMED_SECONDS
        self.duration_seconds = self._files[-1][0] + self._interval

    def _images(self) -> Iterator[tuple[Image | None, float, float]]:
        cv2 = load_opencv()
        for seconds, file in self._files:
            # Not imread, which refuses names that are not UTF-8 and prints to stderr.
            try:
                data = np.frombuffer(file.read_bytes(), np.uint8)
            except OSError:
                data = np.empty(0, np.uint8)
            small = data.size and _pixels_of(data[:_HEAD_BYTES].tobytes()) <= self._max_pixels
            image = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if small else None
            yield image, seconds, self._interval


class Animation(ImageSequence):
    """An animated image, which FFmpeg does not read."""

    def __init__(self, path: Path, name: str, start_utc: float | None, max_pixels: int) -> None:
        """Check that OpenCV can read the animation.

        Raises:
            OpenError: this OpenCV reads no animations.
        """
        super().__init__(path, name, start_utc, max_pixels)
        if not hasattr(load_opencv(), "imreadanimation"):
            raise OpenError(f"{path}: animated images need OpenCV 4.11: pip install -U opencv-python", permanent=True)

        with path.open("rb") as file:
            if _pixels_of(file.read(_HEAD_BYTES)) > max_pixels:
                raise OpenError(f"{path}: has more pixels than capture.max_pixels = {max_pixels}", permanent=True)

    def _images(self) -> Iterator[tuple[Image | None, float, float]]:
        cv2, seconds, first = load_opencv(), 0.0, 0
        while True:
            good, animation = cv2.imreadanimation(str(self._path), first, _CHUNK_FRAMES)
            frames = animation.frames if good else ()
            for image, milliseconds in zip(frames, animation.durations, strict=False):
                duration = max(0.001, float(milliseconds) / 1000)
                yield image[..., :3], seconds, duration
                seconds += duration
            first += _CHUNK_FRAMES
            if len(frames) < _CHUNK_FRAMES:
                return


def is_animation(path: Path) -> bool:
    """Return whether the file at `path` is an animation that FFmpeg does not read: WebP."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 0x02)


def _pixels_of(head: bytes) -> int:
    """Return the number of pixels that the start of an image file states; 0 if it is not found."""
    if head.startswith(b"\x89PNG"):
        return int.from_bytes(head[16:20], "big") * int.from_bytes(head[20:24], "big")
    if head[8:16] == b"WEBPVP8X":
        return (int.from_bytes(head[24:27], "little") + 1) * (int.from_bytes(head[27:30], "little") + 1)
    place = 2
    while head.startswith(b"\xff\xd8") and place + 9 <= len(head) and head[place] == 0xFF:
        kind, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = head[place + 5 : place + 7], head[place + 7 : place + 9]
            return int.from_bytes(height, "big") * int.from_bytes(width, "big")
        place += 2 + max(2, length)
    return 0


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that puts a2 before a10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _luma_of(image: Image) -> NDArray[Any]:
    cv2 = load_opencv()
    luma: NDArray[Any] = image if image.ndim == 2 else cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY)
    return luma if luma.dtype in (np.uint8, np.uint16) else np.clip(luma, 0, 255).astype(np.uint8)


def _rgb_of(image: Image, max_side: int | None) -> NDArray[np.uint8]:
    cv2 = load_opencv()
    height, width = image.shape[:2]
    if max_side is not None and max(height, width) > max_side:
        scale = max_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if image.dtype != np.uint8:
        image = (image / 257).astype(np.uint8)
    colours: NDArray[np.uint8] = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)
    return colours
