"""A connection to a network camera: the thread that opens it and reads its packets."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from stream.capture.addresses import host_of, is_playlist, is_url, redact
from stream.capture.allowed import FORMATS, open_options
from stream.capture.decoding import hardware_of, in_hardware
from stream.capture.files.container import is_still
from stream.capture.hls import HlsReader
from stream.capture.live.connection import Connected, Connection, Item, Packet
from stream.capture.live.refusal import explain_refusal
from stream.capture.live.rtsp_login import RtspLogin
from stream.capture.live.socket_watch import SocketWatch
from stream.capture.open_errors import explain_open_error, port_of, reason_of
from stream.capture.options import CaptureOptions, tls_options
from stream.capture.timing.corruption import RtpLossMonitor, monitor_rtp_losses
from stream.capture.timing.sender_reports import SenderReport
from stream.capture.web import may_be_redirect, redirected
from stream.errors import OpenError, StreamError

# A read without data for this long returns, so that a stop is noticed; the connection is kept.
READ_SECONDS = 2.3
# Receive buffer of a UDP socket: the burst of a key frame overflows the usual 0.2 MB on a busy system.
RECEIVE_BYTES = 4 << 20

_SHORT_ANSWER_BYTES = 4096  # less is not video: a few replies at most

_RTSP = ("rtsp", "rtsps")
_CONFIGURATION_RECORD = b"\x01"  # first byte of H.264 and H.265 parameter sets kept apart from the packets
_RECORDINGS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")  # live if their size is unknown
_MOST_AHEAD_SECONDS = 60.0  # for a playlist's packets; larger steps of the time stamps restart the pace
_NO_STAMPS: Any = Flags.no_timestamps.value  # an int, although PyAV's types say otherwise
_NTP_TO_UNIX = 2_208_988_800  # seconds from 1900 to 1970
_ARRIVAL_BASE = Fraction(1, 1_000_000)  # time base of stamps made from arrival


def granted_receive_bytes() -> int:
    """Return how many of RECEIVE_BYTES this system grants a UDP socket; Linux grants up to net.core.rmem_max.

    Raises:
        OSError: this system has no such socket.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        # Linux reports twice the granted size; half of it is for its own bookkeeping (socket(7)).
        return min(RECEIVE_BYTES, probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)


_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
_OWN_STREAM = "give the camera's own stream: rtsp://..., or http://... for MJPEG"


class NetworkConnection(Connection):
    """A reader of the packets of one network stream.

    FFmpeg cannot be interrupted while it opens; a thread that is released meanwhile ends by itself within the limits of
    `options`.
    """

    def __init__(
        self,
        name: str,
        address: str,
        options: CaptureOptions,
        deliver: Callable[[Connection, Item], None],
        own_login: threading.Event | None = None,
    ) -> None:
        """Start reading.

        Args:
            name: name of the camera.
            address: URL of the camera.
            options: how it is opened.
            deliver: called with this connection and each item, from its thread.
            own_login: set if FFmpeg is known to be unable to log in there; set here when that is found out.
        """
        self._own_login = own_login or threading.Event()
        self._name = name
        self._options = options
        self._watch: SocketWatch | None = None
        self._pace: _Pace | None = None
        self._losses: RtpLossMonitor | None = None
        super().__init__(name, address, deliver)

    def release(self) -> None:
        """Ask the thread to end, and return at once."""
        super().release()
        if self._watch is not None:
            self._watch.release()

    def _new_watch(self, address: str) -> AbstractContextManager[SocketWatch]:
        limit = self._options.frame_limit_mb * 2**20
        return SocketWatch(self._name, host_of(address) or "", port_of(address), limit).watching()

    def _refuse_endless(self, watch: SocketWatch) -> None:
        """Raise StreamError if the source sent more than the limit without completing a frame."""
        if watch.tripped:
            raise StreamError(
                f"{redact(self._address)}: {self._options.frame_limit_mb:g} MB came without a frame that ends; "
                "it sends no video, or frames larger than capture.frame_limit_mb"
            )

    def _enter(self, opened: ExitStack) -> tuple[InputContainer, SocketWatch]:
        """Open the source by FFmpeg alone or, if FFmpeg cannot log in, over a connection that is logged in here."""
        if not is_url(self._address):
            raise OpenError(
                f"{redact(self._address)}: not a camera: give a URL like rtsp://..., a device number or /dev/videoN; "
                "recordings are for replay",
                permanent=True,
            )
        if is_playlist(self._address):
            return self._open_playlist(opened)
        if not self._own_login.is_set():
            try:
                return self._open(opened, self._address)
            except av.error.HTTPUnauthorizedError as error:
                if "@" not in self._address:
                    raise explain_open_error(self._address, error) from None
                if not self._address.lower().startswith("rtsp://"):
                    raise explain_refusal(self._address, self._options) from None
        login = RtspLogin(self._address, self._options.open_seconds)
        self._own_login.set()
        local = opened.enter_context(login.relayed(self._name))
        try:
            return self._open(opened, local)
        except av.error.HTTPUnauthorizedError as error:
            raise explain_open_error(self._address, error) from None

    def _open_playlist(self, opened: ExitStack) -> tuple[InputContainer, SocketWatch]:
        reader = HlsReader(self._address, self._options, self._release_asked.is_set)
        opened.callback(reader.close)
        if reader.ended:
            raise OpenError(
                f"{redact(self._address)}: is a recording (a playlist that is complete), not a camera; use replay",
                permanent=True,
            )
        self._pace = _Pace(self._release_asked)
        watch = self._watch = opened.enter_context(self._new_watch(self._address))
        try:
            container = av.open(
                reader,
                mode="r",
                options={"format_whitelist": FORMATS},
                metadata_errors="replace",
                hwaccel=hardware_of(self._options),
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            self._refuse_endless(watch)
            raise explain_open_error(self._address, error) from None
        opened.callback(container.close)
        return container, watch

    def _open(self, opened: ExitStack, address: str) -> tuple[InputContainer, SocketWatch]:
        """Open `address`, which is that of the source or of the local relay to it.

        Returns:
            the open container, and the watch over its sockets.

        Raises:
            HTTPUnauthorizedError: the log-in was refused.
            OpenError: it cannot be opened, for any other reason.
        """  # noqa: DOC501 - it makes the OpenError
        options, hardware = network_options(address, self._options), hardware_of(self._options)
        if address != self._address:
            options |= {"rtsp_transport": "tcp"}
            options.pop("rtsp_flags", None)
        with ExitStack() as kept:
            watch = self._watch = kept.enter_context(self._new_watch(address))
            began = time.monotonic()
            try:
                container = av.open(
                    address,
                    options=options,
                    timeout=(self._options.open_seconds, READ_SECONDS),
                    metadata_errors="replace",
                    hwaccel=hardware,
                )
            except av.error.HTTPUnauthorizedError:
                self._refuse_other_host()
                raise
            except (av.FFmpegError, OSError, ValueError) as error:
                if isinstance(error, av.error.ArgumentError) and address.lower().endswith(_IMAGE_ENDINGS):
                    raise self._no_camera("a still image") from None
                self._refuse_other_host()
                self._refuse_endless(watch)
                elsewhere = redirected(address, self._options) if may_be_redirect(address, error) else None
                if elsewhere is not None:
                    self._address = elsewhere
                    return self._open(opened, elsewhere)
                waited = time.monotonic() - began
                unanswered = waited > 0.9 * self._options.open_seconds and (watch.received or 0) < _SHORT_ANSWER_BYTES
                raise explain_open_error(self._address, error, silent_seconds=waited if unanswered else None) from None
            kept.callback(container.close)
            self._refuse_other_host()
            opened.enter_context(kept.pop_all())
        return container, watch

    def _refuse_other_host(self) -> None:
        if self._losses is not None:
            refuse_other_host(self._address, self._losses)

    def _read(self, opened: ExitStack) -> None:
        losses = self._losses = opened.enter_context(monitor_rtp_losses())
        container, watch = self._enter(opened)
        self._require_live(container)
        stamps = not container.format.flags & _NO_STAMPS
        stream = self._prepare(container, stamps=stamps)
        interrupted = False
        before: float | None = None
        packets = container.demux(stream)
        while not self._release_asked.is_set():
            began = time.monotonic()
            try:
                packet = next(packets)
            except av.error.ExitError:
                self._refuse_endless(watch)
                # Nothing came for a while: the connection is kept, and `Camera` decides about it.
                interrupted = True
                packets = container.demux(stream)
                continue
            except StopIteration:
                self._refuse_endless(watch)
                return
            except (av.FFmpegError, OSError) as error:
                self._refuse_endless(watch)
                raise StreamError(f"{redact(self._address)}: reading failed: {reason_of(error)}") from None
            self._refuse_endless(watch)
            watch.reset()
            if packet.size == 0:  # the flush packet after the end
                return
            if self._pace is not None:
                self._pace.wait(packet)
                began = time.monotonic()
            arrival = time.monotonic()
            delayed = arrival - began > 0.95 * READ_SECONDS
            if delayed:
                # FFmpeg returns a frame when the next one begins: this one came before the silence.
                arrival = began
            if not stamps:
                # Such as JPEGs over HTTP: FFmpeg would stamp them at 25 a second, whatever their rate.
                packet.time_base = _ARRIVAL_BASE
                packet.pts = packet.dts = round(arrival / _ARRIVAL_BASE)
            self._deliver(
                self, self._item(packet, arrival, losses.take(), before, interrupted=interrupted, delayed=delayed)
            )
            before = arrival
            interrupted = delayed

    def _require_live(self, container: InputContainer) -> None:
        kind = container.format.name
        instead = _OWN_STREAM
        if is_still(container):
            what = "a still image"
        elif self._pace is None and kind in _RECORDINGS and container.size > 0 and container.duration:
            what = f"a recording of {container.duration / av.time_base:.0f} s, not a camera"
            instead = "use replay, which takes such addresses"
        else:
            return
        raise self._no_camera(what, instead)

    def _no_camera(self, what: str, instead: str = _OWN_STREAM) -> OpenError:
        return OpenError(f"{redact(self._address)}: is {what}; {instead}", permanent=True)

    def _prepare(self, container: InputContainer, *, stamps: bool) -> VideoStream:
        """Choose the stream and the number of decoder threads, and report that the source answered."""
        if not container.streams.video:
            raise OpenError(f"{redact(self._address)}: sends no video; check the path", permanent=True)
        streams, number = container.streams.video, self._options.stream or 1
        if number > len(streams):
            raise OpenError(
                f"{redact(self._address)}: sends {len(streams)} video stream(s), none with number {number}; "
                "count from 1",
                permanent=True,
            )
        stream = streams[number - 1]
        codec = stream.codec_context
        if not in_hardware(codec, self._options, self._name):
            codec.thread_type = "SLICE" if self._options.live_threads > 1 else "NONE"
            codec.thread_count = self._options.live_threads
        rate = stream.average_rate or stream.guessed_rate
        time_base = float(stream.time_base or 1 / 90000) if stamps else float(_ARRIVAL_BASE)
        apart = (codec.extradata or b"").startswith(_CONFIGURATION_RECORD)
        template = stream if apart else None
        frame_seconds = float(1 / rate) if rate else 0.04
        timed = self._pace is None
        connected = Connected(frame_seconds, codec, time_base, template, stamps, timed, streams=len(streams))
        self._deliver(self, connected)
        return stream

    @staticmethod
    def _item(
        packet: "av.Packet[VideoStream]",
        arrival: float,
        lost: int,
        before: float | None,
        *,
        interrupted: bool,
        delayed: bool,
    ) -> Packet:
        report = capture = None
        if packet.has_sidedata("rtcp_sr"):
            # struct AVRTCPSenderReport: the source's id, the time in units of 2**-32 s since 1900, and the time stamp.
            _, since_1900, ticks = struct.unpack_from("=I4xQI", bytes(packet.get_sidedata("rtcp_sr")))
            report = SenderReport(since_1900 / 2**32 - _NTP_TO_UNIX, ticks)
        if packet.has_sidedata("prft"):
            capture = struct.unpack_from("<q", bytes(packet.get_sidedata("prft")))[0] / 1e6
        to_utc = time.time() - time.monotonic()
        return Packet(packet, arrival, to_utc, lost, interrupted, delayed, capture, report, before)


class _Pace:
    """Pace the packets of a playlist: its segments come in bursts, some seconds apart."""

    def __init__(self, released: threading.Event) -> None:
        self._released = released
        self._origin: float | None = None  # time.monotonic() at the time stamp 0

    def wait(self, packet: "av.Packet[VideoStream]") -> None:
        """Wait until `packet` is due."""
        if packet.dts is None:
            return
        stamp, now = float(packet.dts * packet.time_base), time.monotonic()
        if self._origin is None or abs(self._origin + stamp - now) > _MOST_AHEAD_SECONDS:
            self._origin = now - stamp  # the first packet, or the first after a break
        self._released.wait(max(0.0, self._origin + stamp - now))


def refuse_other_host(address: str, log: RtpLossMonitor) -> None:
    """Raise OpenError where the RTSP camera at `address` sent FFmpeg to another host: nothing of that is used."""
    for target in log.redirects():
        if host_of(target) != host_of(address):
            raise OpenError(
                f"{redact(address)}: redirects to another host, {redact(target)}; give that address if it is meant",
                permanent=True,
            )


def network_options(address: str, options: CaptureOptions) -> dict[str, str]:
    """Return FFmpeg's options for the video of the camera at `address`."""
    if address.partition("://")[0].lower() in _RTSP:
        return rtsp_options(address, options, "video")  # sound shifts the time stamps and hides frozen video
    return open_options(address) | tls_options(address, options)


def rtsp_options(address: str, options: CaptureOptions, media: str) -> dict[str, str]:
    """Return FFmpeg's options for an RTSP session with one kind of media, "video" or "audio"."""
    chosen = {
        "allowed_media_types": media,
        "reorder_queue_size": str(options.reorder_packets),  # without it losses over TCP are not reported
        "max_delay": str(round(options.reorder_seconds * 1e6)),
        "buffer_size": str(RECEIVE_BYTES),
        "fpsprobesize": "0",  # the first frame comes a second earlier
        "timeout": str(round(options.open_seconds * 1e6)),  # also limits closing, unlike the read limit
    }
    if options.transport == "auto":
        chosen["rtsp_flags"] = "prefer_tcp"
    else:
        chosen["rtsp_transport"] = options.transport
    return chosen | open_options(address) | tls_options(address, options)
