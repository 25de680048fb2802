"""One connection to a camera in the network: a thread that opens it and reads its packets."""

import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from stream.capture.addresses import is_url, redact
from stream.capture.files.container import is_still
from stream.capture.live.connection import Connected, Connection, Item, Packet
from stream.capture.live.receive_buffer import RECEIVE_BYTES
from stream.capture.live.tls import tls_options
from stream.capture.open_errors import explain_open_error, reason_of
from stream.capture.options import CaptureOptions
from stream.capture.timing.corruption import RtpLossMonitor
from stream.errors import OpenError, StreamError

# A read that brings nothing for this long comes back, so that a stop is seen; the connection is kept all the same.
READ_SECONDS = 2.3

_CONFIGURATION_RECORD = b"\x01"  # parameter sets of H.264 and H.265 kept apart from the packets begin so
_IN_PIECES = ("hls", "dash")  # FFmpeg's names; after every hitch they give out again what they gave before
_RECORDINGS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")  # live as well, but of no known size then
_NO_STAMPS: Any = Flags.no_timestamps.value  # an int, whatever PyAV's types say
_ARRIVAL_BASE = Fraction(1, 1_000_000)  # the time base of stamps that are made from arrival


class NetworkConnection(Connection):
    """Reads the packets of one network stream.

    FFmpeg cannot be interrupted from outside while it opens; the thread then ends by itself within the limits of
    `options`.
    """

    def __init__(
        self, name: str, address: str, options: CaptureOptions, deliver: Callable[[Connection, Item], None]
    ) -> None:
        self._options = options
        super().__init__(name, address, deliver)

    def _open(self) -> InputContainer:
        if not is_url(self._address):
            raise OpenError(
                f"{redact(self._address)}: not a camera: give a URL like rtsp://..., a device number or /dev/videoN; "
                "recordings are for replay",
                permanent=True,
            )
        limits = (self._options.open_seconds, READ_SECONDS)
        try:
            return av.open(
                self._address,
                options=_open_options(self._address, self._options),
                timeout=limits,
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise explain_open_error(self._address, error) from None

    def _read(self, opened: ExitStack) -> None:
        losses = opened.enter_context(RtpLossMonitor())
        container = self._open()
        opened.callback(container.close)
        self._refuse_what_is_not_live(container)
        stamps = not container.format.flags & _NO_STAMPS
        stream = self._prepare(container, stamps=stamps)
        interrupted = False
        packets = container.demux(stream)
        while not self._release_asked.is_set():
            began = time.monotonic()
            try:
                packet = next(packets)
            except av.error.ExitError:
                # Nothing came for a while: the connection is kept, the camera decides.
                interrupted = True
                packets = container.demux(stream)
                continue
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                raise StreamError(f"{redact(self._address)}: reading failed: {reason_of(error)}") from None
            if packet.size == 0:  # the flush packet after the end
                return
            arrival = time.monotonic()
            delayed = arrival - began > 0.95 * READ_SECONDS
            if delayed:
                # FFmpeg gives a picture out when the next one begins. This one came before the silence.
                arrival = began
            if not stamps:
                # As of JPEGs over HTTP: FFmpeg would number them at 25 a second, whatever comes.
                packet.time_base = _ARRIVAL_BASE
                packet.pts = packet.dts = round(arrival / _ARRIVAL_BASE)
            self._deliver(self, self._item(packet, arrival, losses.taken(), interrupted=interrupted, delayed=delayed))
            interrupted = delayed

    def _refuse_what_is_not_live(self, container: InputContainer) -> None:
        kind = container.format.name
        instead = "give the camera's own stream: rtsp://..., or http://... for MJPEG"
        if is_still(container):
            what = "a still image"
        elif kind in _IN_PIECES:
            what = f"a playlist ({kind.upper()}), whose pieces come late and do not say when they were taken"
        elif kind in _RECORDINGS and container.size > 0 and container.duration:
            what = f"a recording of {container.duration / av.time_base:.0f} s, not a camera"
            instead = "download it and use replay"
        else:
            return
        raise OpenError(f"{redact(self._address)}: is {what}; {instead}", permanent=True)

    def _prepare(self, container: InputContainer, *, stamps: bool) -> VideoStream:
        """Choose the pictures and how they are decoded, and say that the source answered."""
        if not container.streams.video:
            raise OpenError(f"{redact(self._address)}: sends no pictures; check the path", permanent=True)
        stream = container.streams.video[0]
        codec = stream.codec_context
        codec.thread_type = "SLICE" if self._options.live_threads > 1 else "NONE"
        codec.thread_count = self._options.live_threads
        rate = stream.average_rate or stream.guessed_rate
        time_base = float(stream.time_base or 1 / 90000) if stamps else float(_ARRIVAL_BASE)
        apart = (codec.extradata or b"").startswith(_CONFIGURATION_RECORD)
        template = stream if apart else None
        self._deliver(self, Connected(float(1 / rate) if rate else 0.04, codec, time_base, template, stamps))
        return stream

    @staticmethod
    def _item(
        packet: "av.Packet[VideoStream]", arrival: float, lost: int, *, interrupted: bool, delayed: bool
    ) -> Packet:
        report = packet.has_sidedata("rtcp_sr")
        capture = None
        if packet.has_sidedata("prft"):
            capture = struct.unpack_from("<q", bytes(packet.get_sidedata("prft")))[0] / 1e6
        return Packet(packet, arrival, time.time() - time.monotonic(), lost, interrupted, delayed, capture, report)


def _open_options(address: str, options: CaptureOptions) -> dict[str, str]:
    scheme = address.partition("://")[0].lower()
    chosen: dict[str, str] = {}
    if scheme in ("rtsp", "rtsps"):
        chosen = {
            "allowed_media_types": "video",  # sound nudges the time stamps and hides a frozen picture
            "reorder_queue_size": str(options.reorder_packets),  # set, so that losses over TCP are told too
            "max_delay": str(round(options.reorder_seconds * 1e6)),
            "buffer_size": str(RECEIVE_BYTES),
            "fpsprobesize": "0",  # a second faster to the first picture
            "timeout": str(round(options.open_seconds * 1e6)),  # bounds what the read limit does not: closing
        }
        if options.transport == "auto":
            chosen["rtsp_flags"] = "prefer_tcp"
        else:
            chosen["rtsp_transport"] = options.transport
    return chosen | tls_options(address, options)
