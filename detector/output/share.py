"""Images and films of a storm for sharing: composites, a reel, short films of single flashes."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from detector.errors import OutputError
from detector.output.report.media_files import dark_median
from detector.output.report.model import Report, ReportFlash
from stream import decoder_threads

FilmFormat = Literal["mp4", "webp"]
Rgb = NDArray[np.uint8]

FOLDER = "share"
_WASHED_SHARE = 0.3  # of the pixels at full white; such a still shows no structure
_WHITE = 250
_FILM_PIXELS = 1280
_WEBP_PIXELS = 640  # an animated image of full size would be larger than the film
_LEAD_SECONDS, _TAIL_SECONDS = 0.5, 0.9  # of a film, before and after the flash
_SLOW_LEAD, _SLOW_TAIL = 0.12, 0.2  # of the slowed part, before and after the flash
_GLOW = 0.86  # share of a frame's light that is still shown in the next one
_ENCODERS = ("libx264", "libopenh264", "mpeg4")


@dataclass(frozen=True, slots=True)
class ShareOptions:
    """Options of `share`.

    Attributes:
        best: number of flashes, the best stills first.
        slow: factor by which pulses are slowed.
        format: format of films of single flashes.
    """

    best: int = 5
    slow: float = 4.0
    format: FilmFormat = "mp4"


def share_composites(report: Report, options: ShareOptions) -> list[Path]:
    """Write the best stills of each camera over its dark scene, of the whole storm and of each hour.

    Args:
        report: the run's report.
        options: how many stills.

    Returns:
        the images written; none if no camera has two stills that are not washed out.

    Raises:
        OutputError: an image cannot be written.
    """
    written = []
    for lane in report.timeline.lanes:
        flashes = [one for one in report.confirmed if one.lane == lane and one.still.path is not None]
        stills = {one.flash.id: image for one in flashes if (image := _still(report, one)) is not None}
        size = _commonest([image.shape for image in stills.values()])
        same = [one for one in flashes if one.flash.id in stills and stills[one.flash.id].shape == size]
        dark = _dark(report, same, [stills[one.flash.id] for one in same])
        clear = [one for one in same if not is_washed_out(stills[one.flash.id])]
        parts = {"": clear}
        hours = sorted({_hour(one) for one in clear if one.utc is not None})
        if len(hours) > 1:
            parts |= {f"-{hour:%Y-%m-%d-%H}h": [one for one in clear if _hour(one) == hour] for hour in hours}
        for suffix, chosen in parts.items():
            if dark is None or len(chosen) < 2:
                continue
            image = lighten([stills[one.flash.id] for one in chosen[: options.best]], dark)
            path = _place(report, f"composite-{lane}{suffix}.jpg")
            _save(path, partial(_write_jpeg, image))
            written.append(path)
    return written


def lighten(images: Sequence[Rgb], dark: Rgb) -> Rgb:
    """Return the brightest of all images at each pixel, and the dark scene where none adds light.

    Args:
        images: (rows, columns, 3) stills of one view.
        dark: the same view without lightning.
    """
    made = dark.copy()
    for image in images:
        np.maximum(made, image, out=made)
    return made


def is_washed_out(image: Rgb) -> bool:
    """Return whether an image is too white to show structure."""
    return bool((image.min(axis=2) >= _WHITE).mean() > _WASHED_SHARE)


def share_films(report: Report, options: ShareOptions, only: str | None = None) -> list[Path]:
    """Write a short film of each of the best flashes, with its pulses slowed.

    Args:
        report: the run's report.
        options: how many, how slow, which format.
        only: the id of the only flash to use.

    Returns:
        the films written; flashes without a clip have none.

    Raises:
        OutputError: a film cannot be written, or there is no flash `only`.
    """
    chosen = [one for one in report.confirmed if one.clip.path is not None and one.clip_facts is not None]
    if only is not None:
        chosen = [one for one in report.flashes if one.flash.id == only and one.clip_facts is not None]
        if not chosen:
            raise OutputError(f"{only}: no flash of that id with a clip is in {report.results.folder}")
    written = []
    for one in chosen[: options.best]:
        path = _place(report, f"{_plain(one.flash.id)}.{options.format}")
        frames = _film(report, one, options.slow, _WEBP_PIXELS if options.format == "webp" else _FILM_PIXELS)
        rate = one.clip_facts.rate if one.clip_facts else 25.0
        _save(path, partial(_write_webp if options.format == "webp" else _write_film, frames, rate))
        written.append(path)
    return written


def share_reel(report: Report, options: ShareOptions) -> Path | None:
    """Write one film of the best flashes, in the order of time.

    Returns:
        the path of the film, or None if no flash has a clip.

    Raises:
        OutputError: the film cannot be written.
    """
    chosen = [one for one in report.confirmed if one.clip.path is not None and one.clip_facts is not None]
    chosen = sorted(chosen[: options.best], key=lambda one: one.at)
    if not chosen:
        return None
    rate = chosen[0].clip_facts.rate if chosen[0].clip_facts else 25.0
    path = _place(report, "reel.mp4")
    frames = (image for one in chosen for image in _film(report, one, options.slow, _FILM_PIXELS))
    _save(path, partial(_write_film, frames, rate))
    return path


def _film(report: Report, one: ReportFlash, slow: float, pixels: int) -> Iterator[Rgb]:
    """Yield the frames of a flash, with slowed pulses whose light fades as on a slow screen."""
    facts = one.clip_facts
    if one.clip.path is None or facts is None:
        return
    begin, end = -_LEAD_SECONDS, one.duration + _TAIL_SECONDS
    held: NDArray[np.float32] | None = None
    owed = 0.0
    path = str(report.results.folder / one.clip.path)
    with av.open(path) as container, decoder_threads(container.streams.video[0]):
        for frame in container.decode(video=0):
            since = float(frame.time or 0.0) + facts.start
            if since < begin:
                continue
            if since > end:
                break
            now = _fitted(frame, pixels).astype(np.float32)
            owed += slow if -_SLOW_LEAD <= since <= one.duration + _SLOW_TAIL else 1.0
            while owed >= 1.0:
                owed -= 1.0
                held = now if held is None else np.maximum(now, held * _GLOW + now * (1 - _GLOW))
                yield held.astype(np.uint8)


def _fitted(frame: av.VideoFrame, pixels: int) -> Rgb:
    scale = min(1.0, pixels / max(frame.width, frame.height))
    wide, high = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    image: Rgb = frame.to_ndarray(format="rgb24", width=wide, height=high).astype(np.uint8, copy=False)
    return image


def _write_jpeg(image: Rgb, path: Path) -> None:
    Image.fromarray(image).save(path, "JPEG", quality=92)


def _write_film(frames: Iterable[Rgb], rate: float, path: Path) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        stream: VideoStream | None = None
        for image in frames:
            high, wide = image.shape[:2]
            if stream is None:
                encoder = next(name for name in _ENCODERS if name in av.codecs_available)
                stream = cast(VideoStream, output.add_stream(encoder, rate=Fraction(rate).limit_denominator(1001)))
                stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
                stream.options = {"crf": "20", "preset": "medium"} if encoder == "libx264" else {}
            if (wide, high) != (stream.width, stream.height):
                image = _boxed(image, stream.width, stream.height)  # noqa: PLW2901 - another camera's size
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        if stream is None:
            raise ValueError("its clip holds no frame of the flash")
        output.mux(stream.encode(None))


def _boxed(image: Rgb, wide: int, high: int) -> Rgb:
    """Return an image in another size, with black borders."""
    whole = Image.new("RGB", (wide, high))
    part = Image.fromarray(image)
    part.thumbnail((wide, high))
    whole.paste(part, ((wide - part.width) // 2, (high - part.height) // 2))
    return np.asarray(whole)


def _write_webp(frames: Iterable[Rgb], rate: float, path: Path) -> None:
    images = [Image.fromarray(image) for image in frames]
    if not images:
        raise ValueError("its clip holds no frame of the flash")
    images[0].save(
        path, "WEBP", save_all=True, append_images=images[1:], duration=round(1000 / rate), loop=0, quality=70, method=4
    )


def _still(report: Report, one: ReportFlash) -> Rgb | None:
    if one.still.path is None:
        return None
    try:
        with Image.open(report.results.folder / one.still.path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError:
        return None


def _dark(report: Report, flashes: Sequence[ReportFlash], stills: Sequence[Rgb]) -> Rgb | None:
    """Return the scene without lightning: the common part of its stills, or the first frame of a clip."""
    median = dark_median(stills)
    if median is not None or not stills:
        return median
    for one in flashes:
        first = next(iter(_film(report, one, 1.0, 1 << 16)), None)
        if first is not None and first.shape == stills[0].shape:
            return first
    darkest: Rgb = np.minimum.reduce(list(stills))
    return darkest


def _commonest(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return max(set(shapes), key=shapes.count, default=())


def _hour(one: ReportFlash) -> datetime:
    return datetime.fromtimestamp(one.utc or 0.0, UTC).replace(minute=0, second=0, microsecond=0)


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in name)


def _place(report: Report, name: str) -> Path:
    return report.results.folder / FOLDER / _plain(name)


def _save(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file atomically."""
    scratch = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(scratch)
        scratch.replace(path)
    except (OSError, av.FFmpegError, ValueError) as error:
        scratch.unlink(missing_ok=True)
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise OutputError(f"{path}: cannot be made: {why}") from error
