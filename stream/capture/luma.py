"""The luma plane of decoded frames, without a copy if the format has one, and RGB images on demand."""

from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG; 1 is limited, 0 unspecified
# Codecs whose grey frames are full range unless the stream says otherwise: still images, not television.
_FULL_RANGE_GREY = frozenset(
    {"mjpeg", "png", "apng", "ffv1", "rawvideo", "gif", "qtrle", "jpeg2000", "jpegls", "huffyuv"}
)
# One byte of each pair is luma; the offset of the first one.
_PACKED = {"yuyv422": 0, "yvyu422": 0, "uyvy422": 1}
_PLANAR_COLOUR = frozenset({"yuvj420p", "yuv420p", "yuvj422p", "yuv422p", "yuvj444p", "yuv444p"})
_HIGH_BITS = ("p0", "p2", "p4")  # P010 and similar formats keep 10 or 12 bits in the upper part of 16


@dataclass(frozen=True, slots=True)
class _Layout:
    """The memory layout of luma in frames of one format, and its values of black and white.

    Attributes:
        convert: whether frames are converted to full-range planar YUV first, because they have no luma plane.
        wide: whether a value takes two bytes.
        start: offset of the first value in a row, in bytes.
        step: bytes from value to value in 8-bit formats.
        black: value of black.
        white: value of white.
    """

    convert: bool
    wide: bool
    start: int
    step: int
    black: int
    white: int


_THREADS = 1  # of a conversion; more are started anew for each one, which takes longer than they save
_NO_PLANE = _Layout(convert=True, wide=False, start=0, step=1, black=0, white=255)


class LumaReader:
    """A reader of the luma plane of one stream's frames; it caches the layout of the last format."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._key: tuple[str, int] | None = None
        self._layout = _NO_PLANE

    def read(self, frame: VideoFrame) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], int, int]:
        """Return (luma, black, white); luma is (height, width), a view of the decoder's memory if possible."""
        form = frame.format
        key = (form.name, frame.color_range)
        if key != self._key:
            self._key, self._layout = key, _layout_of(frame, self._codec)
        layout = self._layout
        if layout.convert:
            frame = frame.reformat(format="yuv444p", dst_color_range=_FULL_RANGE, threads=_THREADS)
        plane = frame.planes[0]
        stride, width, height = plane.line_size, frame.width, frame.height
        luma: NDArray[np.uint8] | NDArray[np.uint16]
        if layout.wide:
            luma = np.frombuffer(memoryview(plane), np.uint16).reshape(height, abs(stride) // 2)[:, :width]
        else:
            end = width * layout.step
            luma = np.frombuffer(memoryview(plane), np.uint8).reshape(height, abs(stride))[
                :, layout.start : end : layout.step
            ]
        # A negative stride means that the rows are in memory from the bottom up.
        return (luma[::-1] if stride < 0 else luma), layout.black, layout.white


def chroma_planes(frame: VideoFrame) -> list[NDArray[np.uint8]]:
    """Return the two planes of colour, each (rows, columns), without a copy; none where a format has no such planes."""
    if frame.format.name not in _PLANAR_COLOUR:
        return []
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))[:, : plane.width]
        for plane in frame.planes[1:]
    ]


def _layout_of(frame: VideoFrame, codec: str) -> _Layout:
    form = frame.format
    name = form.name
    first = form.components[0]
    full = frame.color_range == _FULL_RANGE or name.startswith("yuvj")
    if frame.color_range == 0 and name.startswith(("gray", "ya")) and codec in _FULL_RANGE_GREY:
        full = True
    packed = name in _PACKED
    semi_planar = name.startswith(("nv", *_HIGH_BITS))
    grey = name.startswith("gray")
    bits = first.bits
    usable = not (form.is_rgb or form.has_palette or form.is_bit_stream or form.is_bayer or form.is_big_endian)
    planar = form.is_planar and (semi_planar or name.startswith("yuv")) and "msb" not in name
    if not (usable and 8 <= bits <= 16 and (packed or planar or (grey and "f" not in name))):
        return _NO_PLANE
    shift = 16 - bits if name.startswith(_HIGH_BITS) else 0
    black, white = (0, (1 << bits) - 1) if full else (16 << (bits - 8), 235 << (bits - 8))
    return _Layout(
        convert=False,
        wide=bits > 8,
        start=_PACKED.get(name, 0),
        step=2 if packed else 1,
        black=black << shift,
        white=white << shift,
    )


def rotation_of(frame: VideoFrame) -> int:
    """Return the degrees counter-clockwise, 0, 90, 180 or 270, that turn `frame` upright."""
    return round(frame.rotation / 90) * 90 % 360


def upright_rgb(frame: VideoFrame, rotation: int, max_side: int | None) -> NDArray[np.uint8]:
    """Return the upright image of `frame`, (height, width, 3) uint8, with no side beyond `max_side` pixels."""
    width, height = frame.width, frame.height
    scale = 1.0 if max_side is None else min(1.0, max_side / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    frame = frame.reformat(*size, format="rgb24", interpolation="AREA" if scale < 1 else "BICUBIC", threads=_THREADS)
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(), rotation // 90))
