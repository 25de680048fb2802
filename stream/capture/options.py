"""CaptureOptions: how cameras and files are opened, watched and opened again."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Transport = Literal["auto", "tcp", "udp"]


class CaptureOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How sources are opened, watched and opened again. The shipped values live in configs/default.toml.

    transport: how RTP comes from an RTSP camera; auto asks for TCP and takes UDP where a camera has no TCP.
    open_seconds: limit for connecting, and again for learning what the stream is.
    stall_seconds: a camera that has shown no picture for this long counts as stalled.
    retry_first_seconds: wait before the first new attempt after a loss; it doubles from attempt to attempt.
    retry_quick_seconds: the longest wait while the camera has been away for up to two minutes.
    retry_slow_seconds: the longest wait ever; in between, a 75th of the time that the camera has been away.
    retry_refused_seconds: wait after a wrong password or path: cameras lock accounts.
    reorder_packets: RTP packets that may wait for a late one.
    reorder_seconds: how long they may wait; a lost packet delays pictures by this much.
    jump_seconds: a step of the time stamps beyond this starts a new epoch.
    backlog_seconds: pictures of a live camera that may wait for a slow program before some are skipped.
    late_seconds: a live picture handled later than this after its arrival is counted as late.
    latency_allowance_ms: what a camera may take from exposure to sending; part of the error bound of arrival times.
    file_threads: decoder threads for a file; 0 = one per core.
    live_threads: decoder threads for a camera.
    max_failed_fraction: a file of which more than this share would not decode is bad.
    tls_verify: whether the certificate of rtsps and https sources is checked.
    tls_ca_file: certificates to check against; empty = the system's.
    """

    transport: Transport
    open_seconds: Annotated[float, Meta(ge=0.5, le=60)]
    stall_seconds: Annotated[float, Meta(ge=0.5, le=600)]
    retry_first_seconds: Annotated[float, Meta(ge=0.05, le=60)]
    retry_quick_seconds: Annotated[float, Meta(ge=0.05, le=60)]
    retry_slow_seconds: Annotated[float, Meta(ge=0.1, le=3600)]
    retry_refused_seconds: Annotated[float, Meta(ge=0.1, le=3600)]
    reorder_packets: Annotated[int, Meta(ge=1, le=10000)]
    reorder_seconds: Annotated[float, Meta(ge=0, le=10)]
    jump_seconds: Annotated[float, Meta(ge=0.1, le=60)]
    backlog_seconds: Annotated[float, Meta(ge=0.5, le=120)]
    late_seconds: Annotated[float, Meta(ge=0.01, le=60)]
    latency_allowance_ms: Annotated[float, Meta(ge=0, le=10000)]
    file_threads: Annotated[int, Meta(ge=0, le=64)]
    live_threads: Annotated[int, Meta(ge=1, le=64)]
    max_failed_fraction: Annotated[float, Meta(ge=0, le=1)]
    tls_verify: bool
    tls_ca_file: str
