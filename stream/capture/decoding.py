"""Options of decoding: by hardware, or with less work."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import av
import av.logging
from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.capture.ffmpeg_log import raise_log_level
from stream.capture.options import CaptureOptions, HardwareKind

log = logging.getLogger(__name__)

_TRIED: tuple[HardwareKind, ...] = ("cuda", "qsv", "drm")  # by `auto`, in this order
_PROBED_CODECS = ("h264", "hevc", "av1")  # a device that decodes none of them is useless for cameras
_FAST = {"skip_loop_filter": "all"}  # saves a tenth to a third of the work on H.264

_lock = threading.Lock()


def recipe_of(options: CaptureOptions) -> dict[str, str]:
    """Return FFmpeg's options for decoders, by `options.fast` and `options.max_pixels`."""
    return {"max_pixels": str(options.max_pixels)} | (_FAST if options.fast else {})


@contextmanager
def decoder_threads(stream: VideoStream) -> Iterator[None]:
    """Decode `stream` in as many threads as there are cores; the block may end before its last frame.

    Yields:
        nothing.
    """
    stream.thread_type = "AUTO"
    try:
        yield
    finally:
        stop_decoder_threads(stream)


def stop_decoder_threads(stream: VideoStream) -> None:
    """Make the decoder threads of `stream` idle, before its decoder is freed.

    Threads that still run then, and have something to log, wait for ever for the interpreter, as it does for them.
    """
    stream.codec_context.flush_buffers()


class DecoderDrift:
    """The drift of frames that are decoded without the filter of block edges; see `Frame`.

    Attributes:
        unfiltered: whether they are.
    """

    def __init__(self, options: CaptureOptions) -> None:
        self.unfiltered = options.fast
        self._predicted = False

    def ends_at(self, frame: VideoFrame) -> bool:
        """Return whether `frame`, the next one, is a key frame after predicted ones."""
        after_predicted, self._predicted = self._predicted, not frame.key_frame
        return self.unfiltered and after_predicted and frame.key_frame


def hardware_of(options: CaptureOptions) -> HWAccel | None:
    """Return the hardware decoding for av.open; None for the CPU.

    If the requested hardware is not available, the log says why, once per process.
    """
    kind = hardware_kind(options.hwaccel)
    return None if kind == "none" else HWAccel(kind)


def hardware_kind(asked: HardwareKind) -> HardwareKind:
    """Return the kind of hardware that decodes here; "none" if the requested one is not available, which is logged."""
    if asked == "none":
        return "none"
    with _lock:
        return _kind_for(asked)


def in_hardware(codec: VideoCodecContext, options: CaptureOptions, shown: str) -> bool:
    """Return whether `codec`, of the opened source `shown`, decodes in hardware; log it if that was requested."""
    if codec.is_hwaccel:
        codec.thread_count = 1  # the device itself works in parallel
        return True
    if hardware_kind(options.hwaccel) != "none":
        log.warning("%s: no hardware decodes its %s; the CPU does", shown, codec.name)
    return False


@cache
def _kind_for(asked: HardwareKind) -> HardwareKind:
    raise_log_level(av.logging.ERROR)
    why: list[str] = []
    for kind in _TRIED if asked == "auto" else (asked,):
        reason = _why_not(kind)
        if reason is None:
            log.info("frames are decoded by %s, where it knows the codec", kind)
            return kind
        why.append(f"{kind}: {reason}")
    level = logging.INFO if asked == "auto" else logging.WARNING
    log.log(level, "no hardware decodes here, the CPU does (capture.hwaccel = %s; %s)", asked, "; ".join(why))
    return "none"


def _why_not(kind: str) -> str | None:
    """Return why hardware of this kind decodes no codec; None if it does."""
    if kind not in hwdevices_available():
        return "this FFmpeg is built without it"
    reason = "this FFmpeg decodes nothing with it"
    for name in _PROBED_CODECS:
        with av.logging.Capture(local=True) as lines:
            try:
                HWAccel(kind).create(Codec(name, "r"))
            except NotImplementedError:  # the decoder does not support it
                continue
            except (av.FFmpegError, OSError, ValueError) as error:
                told = [line.strip() for _, _, line in lines if line.strip()]
                reason = told[0] if told else str(error)
            else:
                return None
    return reason
