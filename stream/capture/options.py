"""Capture options: how cameras and files are opened, watched and reopened."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Transport = Literal["auto", "tcp", "udp"]
Times = Literal["auto", "camera", "arrival"]
HardwareKind = Literal["none", "auto", "cuda", "qsv", "drm"]


class CaptureOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options for opening, watching and reopening sources. Every field has a default and is checked.

    Attributes:
        transport: RTP transport of an RTSP camera: tcp, udp, or auto (TCP; UDP where a camera has no TCP).
        stream: number, from 1, of the video stream to watch, if a camera sends several; 0: each one that shows a scene
            of its own, as NAME-1, NAME-2 and so on.
        open_seconds: limit for connecting, and again for detecting what the stream is.
        stall_seconds: silence after which a camera counts as stalled; a new connection is tried beside the old one.
        retry_first_seconds: wait before the first new attempt after a loss; it doubles from attempt to attempt.
        retry_quick_seconds: longest wait while the camera has been away for up to two minutes; after that the longest
            is a 75th of the time away.
        retry_slow_seconds: longest wait ever.
        retry_refused_seconds: wait after a wrong password or path: cameras lock accounts.
        reorder_packets: RTP packets that may wait for a late one.
        reorder_seconds: how long they may wait; a lost packet delays frames by this much.
        jump_seconds: a step of the time stamps that is longer than this, and unusual for the stream, starts a new
            epoch.
        backlog_seconds: frames of a live camera that may wait for a slow program before some are skipped.
        late_seconds: a live frame handled later than this after its arrival counts as late.
        latency_allowance_ms: time that a camera may take from exposure to sending; part of the error bound of times by
            arrival.
        times: the clock that gives frame times: auto (the camera's if it can be trusted), camera or arrival.
        offset_seconds: known constant latency; it is subtracted from all times.
        host_clock_error_ms: error bound of this computer's clock while nothing keeps it synchronised.
        frame_limit_mb: megabytes that a live source may send without completing a frame.
        file_threads: decoder threads for a file; 0 = one per core.
        live_threads: decoder threads for a camera; more than one delays its frames.
        fast: whether decoders leave out the filter that smooths the edges of their blocks (H.264, H.265, VP8): less
            work, and frames that differ a little from those that were encoded, more so far from a key frame.
        hwaccel: hardware that decodes: none, auto (the first that works here), cuda, qsv or drm; where it cannot be had
            the CPU decodes, and the log says why.
        max_failed_fraction: a file of which more than this share does not decode is reported as damaged.
        max_pixels: frames with more pixels are refused, to protect memory; 8K has 33 million.
        history_megabytes: how much of the last packets each source keeps for clips (10^6 bytes); if that is too little,
            clips are shorter, and a warning says so.
        sound: whether clips of an RTSP camera have its sound, which is read over a session of its own; sound that MP4
            does not support (G.711) is left out.
        tls_verify: whether the certificates of rtsps and https sources are checked.
        tls_ca_file: certificates to check against; empty = the system's.

    Raises:
        ValueError: a value is out of range; the message names the field, the value and the bound.
    """

    transport: Transport = "auto"
    stream: Annotated[int, Meta(ge=0, le=64)] = 0
    open_seconds: Annotated[float, Meta(ge=0.5, le=60)] = 8.0
    stall_seconds: Annotated[float, Meta(ge=0.5, le=600)] = 6.0
    retry_first_seconds: Annotated[float, Meta(ge=0.05, le=60)] = 0.3
    retry_quick_seconds: Annotated[float, Meta(ge=0.05, le=60)] = 1.5
    retry_slow_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 45.0
    retry_refused_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 60.0
    reorder_packets: Annotated[int, Meta(ge=1, le=10000)] = 64
    reorder_seconds: Annotated[float, Meta(ge=0, le=10)] = 0.2
    jump_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    backlog_seconds: Annotated[float, Meta(ge=0.5, le=120)] = 10.0
    late_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 0.5
    latency_allowance_ms: Annotated[float, Meta(ge=0, le=10000)] = 250.0
    times: Times = "auto"
    offset_seconds: Annotated[float, Meta(ge=-86_400, le=86_400)] = 0.0
    host_clock_error_ms: Annotated[float, Meta(ge=0, le=86_400_000)] = 1000.0
    frame_limit_mb: Annotated[float, Meta(ge=1, le=4096)] = 64.0
    file_threads: Annotated[int, Meta(ge=0, le=64)] = 0
    live_threads: Annotated[int, Meta(ge=1, le=64)] = 1
    fast: bool = False
    hwaccel: HardwareKind = "none"
    max_failed_fraction: Annotated[float, Meta(ge=0, le=1)] = 0.5
    max_pixels: Annotated[int, Meta(ge=10_000, le=1_000_000_000)] = 50_000_000
    history_megabytes: Annotated[float, Meta(ge=1, le=100_000)] = 64.0
    sound: bool = True
    tls_verify: bool = True
    tls_ca_file: str = ""

    @property
    def history_bytes(self) -> int:
        """`history_megabytes` in bytes."""
        return round(self.history_megabytes * 1e6)

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"capture option {field.name} = {value!r}: {error}") from None


def tls_options(address: str, options: CaptureOptions) -> dict[str, str]:
    """Return FFmpeg's TLS options for an rtsps or https `address`; none for any other."""
    if address.partition("://")[0].lower() not in ("rtsps", "https"):
        return {}
    import ssl  # noqa: PLC0415 - 20 ms of start-up that only these sources need

    # PyAV's FFmpeg does not know where the system keeps its certificates; Python does.
    trusted = options.tls_ca_file or ssl.get_default_verify_paths().cafile
    return {"tls_verify": str(int(options.tls_verify))} | ({"ca_file": trusted} if trusted else {})
