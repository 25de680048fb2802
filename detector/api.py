"""The library: frames in, flashes out, in the caller's thread; it writes, publishes and starts nothing."""

import logging
import math
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.events import Flash
from detector.pipeline import SourceDetector, VerdictCallback
from detector.prefilter.blocks import Polygon, Region
from detector.prefilter.prefilter import Prefilter
from detector.settings import NAME_PATTERN, Settings, load_settings
from detector.verify.base import Verifier, asks_always, unverified, verify_inline
from detector.verify.photometric.verifier import PhotometricVerifier
from stream import Frame, VideoError, load_opencv, open_video, printable, redact

_log = logging.getLogger(__name__)

Colour = Literal["bgr", "rgb"]

# Used until a second frame shows how long one lasts; no flash can begin in the first.
_FIRST_DURATION_SECONDS = 0.04
_INTERVALS = 5  # the median of these is not affected by a missing frame


def find_flashes(
    source: str | Path,
    settings: Settings | None = None,
    *,
    camera: str | None = None,
    start: datetime | None = None,
    verifier: Verifier | None = None,
    rejected: bool = False,
) -> Iterator[Flash]:
    """Yield the flashes of a recording, each once, with its verdict, as soon as it is judged.

    Args:
        source: a video file.
        settings: detection settings; the shipped defaults if omitted.
        camera: name of the camera in each flash, 1 to 32 of a-z, 0-9 and '-'; made from the file's name if omitted.
        start: when the first frame was taken, with its time zone; the file's creation time, if any, if omitted.
        verifier: judges candidates; the photometric verifier if omitted. It is not closed here.
        rejected: also yield flashes that the verifier rejected, with `state` "rejected".

    Raises:
        OpenError: the file does not exist or holds no video.
        VideoError: the recording breaks off; flashes before the break were yielded.
        ValueError: `camera` is not a valid name, or `start` has no time zone.
    """
    if start is not None and start.utcoffset() is None:
        raise ValueError(f"start {start} has no time zone: give it one, e.g. .replace(tzinfo=datetime.UTC)")
    settings = settings or load_settings()
    wanted = ("confirmed", "unverified", "rejected") if rejected else ("confirmed", "unverified")
    seconds = None if start is None else start.timestamp()
    with open_video(source, name=camera, options=settings.capture, start_utc=seconds) as video:
        detector = Detector(video.name, settings, verifier=verifier, file=_name_of(source))
        yield from (flash for flash in _flashes_of(video, detector) if flash.state in wanted)


def _flashes_of(frames: Iterable[Frame], detector: "Detector") -> Iterator[Flash]:
    """Yield every revision; those before a break come before the error."""
    try:
        for frame in frames:
            yield from detector.push_frame(frame)
    except VideoError:
        yield from detector.finish()
        raise
    yield from detector.finish()


class Detector:
    """Find the flashes of one camera in pushed frames.

    Everything happens in the caller's thread: a slow verifier makes `push` slow. Use one detector from one thread.
    """

    def __init__(
        self,
        camera: str = "camera",
        settings: Settings | None = None,
        *,
        verifier: Verifier | None = None,
        mask: Sequence[Polygon] = (),
        region: Region | None = None,
        file: str | None = None,
    ) -> None:
        """Create a detector without any frames.

        Args:
            camera: name of the camera in each flash, 1 to 32 of a-z, 0-9 and '-'.
            settings: detection settings; the shipped defaults if omitted. The verifier section is not used.
            verifier: judges candidates; the photometric verifier if omitted. It is not closed here.
            mask: polygons ((x, y), ...) to leave out, in shares 0..1 of the upright frame.
            region: (left, top, right, bottom) to watch, in the same shares; the whole frame if omitted.
            file: value of `Flash.file`, if the frames come from a recording.

        Raises:
            ValueError: `camera` is not a valid name.
        """
        if not re.fullmatch(NAME_PATTERN, camera):
            raise ValueError(f"camera {camera!r} must be 1 to 32 of a-z, 0-9 and '-'")
        settings = settings or load_settings()
        self._camera = camera
        self._found: list[Flash] = []
        judge = _InlineQueue(verifier or PhotometricVerifier(settings.photometric))
        prefilter = Prefilter(camera, settings.prefilter, mask, region)
        self._source = SourceDetector(prefilter, judge, self._found.append, file=file)
        self._frames = 0
        self._epoch = 0
        self._shape: tuple[int, ...] | None = None
        self._last_seconds = -math.inf
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def push(self, image: NDArray[Any], seconds: float, colour: Colour | None = None) -> list[Flash]:
        """Push the next frame as an array.

        The array is not copied: do not write to it again. Pass `image.copy()` if its memory is used for the next frame.

        Args:
            image: (height, width) luma, 0 = black and 255 = white, or (height, width, 3) colours; uint8, upright.
            seconds: capture time on your own clock, which must never go backwards.
            colour: order of the colour channels, "bgr" (as in OpenCV) or "rgb"; None for luma.

        Returns:
            new revisions of flashes, oldest first: `state` is "detected" at the onset and "confirmed", "rejected" or
            "unverified" at the end, under one `id`.

        Raises:
            ValueError: dtype, shape or `colour` do not fit, the shape differs from that of the previous frame, or
                `seconds` is not later.
        """
        _check_image(image, colour)
        if self._shape not in (None, image.shape):
            raise ValueError(
                f"image is {image.shape}, the one before was {self._shape}: call finish() before another size"
            )
        if not math.isfinite(seconds) or seconds <= self._last_seconds:
            raise ValueError(
                f"seconds is {seconds:g}, but the frame before was at {self._last_seconds:g}: must be later"
            )
        frame = Frame(
            camera=self._camera,
            number=self._frames,
            seconds=float(seconds),
            duration=self._duration(seconds),
            luma=image if colour is None else _luma_of(image, colour),
            black=0,
            white=255,
            arrival=time.monotonic(),
            epoch=self._epoch,
            color=None if colour is None else partial(_rgb_of, image, colour),
        )
        self._shape, self._last_seconds = image.shape, seconds
        return self.push_frame(frame)

    def push_frame(self, frame: Frame) -> list[Flash]:
        """Push the next frame of `stream.open_video` or `stream.Camera`, and return the flashes as `push` does."""
        self._frames += 1
        self._source.push(frame)
        return self._take()

    def finish(self) -> list[Flash]:
        """End the open flash, since no frame follows for now.

        Frames may be pushed again afterwards, also of another size: they are not compared with earlier ones.

        Returns:
            the last revisions of flashes that were open.
        """
        self._source.finish()
        self._epoch += 1
        self._shape = None
        self._intervals.clear()
        return self._take()

    def _take(self) -> list[Flash]:
        found = self._found.copy()
        self._found.clear()
        return found

    def _duration(self, seconds: float) -> float:
        if self._shape is not None:
            self._intervals.append(seconds - self._last_seconds)
        return median(self._intervals) if self._intervals else _FIRST_DURATION_SECONDS


class _InlineQueue:
    """A queue that judges each candidate at once, in the caller's thread."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def ask(self, candidate: Candidate, answer: VerdictCallback, *, wait: bool = False) -> None:
        """Call `answer` with the verdict before returning."""
        del wait
        # Here nobody waits for a first answer, so a verdict that will be extended is requested complete.
        verdict = None if asks_always(self._verifier) else verify_inline(self._verifier, candidate)
        if verdict is None:
            name = self._verifier.name
            try:
                verdict = self._verifier.verify([candidate])[0]
            except Exception as error:  # noqa: BLE001 - a verifier that fails has no answer; detection goes on
                _log.error("%s failed: %s: %s", name, type(error).__name__, redact(error))
                verdict = unverified(name, f"{type(error).__name__}: {redact(error)}")
        answer(candidate, verdict)


def _name_of(source: str | Path) -> str:
    # A name that is not UTF-8 cannot be in an event unchanged.
    name = Path(redact(source) if "://" in str(source) else source).name
    return printable(os.fsencode(name).decode(errors="replace"))


def _check_image(image: object, colour: object) -> None:
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be a NumPy array, got {type(image).__name__}")  # noqa: TRY004 - one error for all
    if image.dtype != np.uint8:
        raise ValueError(f"image must be uint8, 0..255, got {image.dtype}")
    if colour not in (None, "bgr", "rgb"):
        raise ValueError(f"colour must be 'bgr', 'rgb' or None for luma, got {colour!r}")
    if image.size == 0 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"image must be (height, width) or (height, width, 3), got {image.shape}")
    if image.ndim == 3 and colour is None:
        raise ValueError(f"image is {image.shape}: say colour='bgr' (as OpenCV reads) or colour='rgb'")
    if image.ndim == 2 and colour is not None:
        raise ValueError(f"image is {image.shape}, which is luma: colour must be None, got {colour!r}")


def _luma_of(image: NDArray[Any], colour: Colour) -> NDArray[np.uint8]:
    """Return (height, width) luma of BT.601, full range."""
    cv2 = load_opencv()
    luma: NDArray[np.uint8] = cv2.cvtColor(
        np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY if colour == "bgr" else cv2.COLOR_RGB2GRAY
    )
    return luma


def _rgb_of(image: NDArray[Any], colour: Colour, max_side: int | None) -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB, scaled down so that no side exceeds `max_side` pixels."""
    height, width = image.shape[:2]
    scale = 1.0 if max_side is None else max_side / max(height, width)
    if scale < 1.0:
        cv2 = load_opencv()
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image if colour == "rgb" else image[..., ::-1])
