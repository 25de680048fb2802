"""An IP camera for tests: serves the H.264 or H.265 video of an MP4 file live over RTSP, in a loop.

Runs on the system's own Python, for which Debian builds the GStreamer bindings:
    apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
Like a camera it has one live stream that all clients join at its present moment. With --log it writes down when each
frame was taken, which is what its time stamp says: "UTC_NANOSECONDS LOOP INDEX". Faults are signals: SIGKILL is a
power cut, SIGSTOP a freeze, SIGUSR1 stops and restarts the frames alone, SIGUSR2 throws all clients out.
"""

import argparse
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402,F401 - versions come first

SOUNDS = {
    "mulaw": "! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name={name} pt=0",
    "aac": "! audio/x-raw,rate=44100,channels=1 ! voaacenc ! aacparse ! rtpmp4gpay name={name} pt=97",
    # A tick every second.
    "opus": "wave=ticks ! audio/x-raw,rate=48000,channels=1 ! opusenc ! rtpopuspay name={name} pt=98",
}


@dataclass(frozen=True)
class AccessUnit:
    """One coded frame: when to send it and when it is shown, in nanoseconds from the clip's start."""

    send: int
    show: int
    data: bytes
    key: bool


class Clip:
    """The coded frames of a file, in sending order, with what a payloader needs to know of them."""

    def __init__(self, path: Path) -> None:
        head = path.read_bytes()
        self.codec = "h265" if b"hvc1" in head or b"hev1" in head else "h264"
        # Parameter sets go in front of every key frame; were the payloader to do it, it would split frames of
        # several slices.
        line = (
            f'filesrc location="{path}" ! qtdemux ! {self.codec}parse config-interval=-1 ! '
            f"video/x-{self.codec},stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
        )
        pipeline = Gst.parse_launch(line)
        sink = pipeline.get_by_name("sink")
        pipeline.set_state(Gst.State.PLAYING)
        buffers = []
        while (sample := sink.emit("try-pull-sample", 5 * Gst.SECOND)) is not None:
            self.caps = sample.get_caps().to_string()
            buffer = sample.get_buffer()
            key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
            send = buffer.pts if buffer.dts == Gst.CLOCK_TIME_NONE else buffer.dts
            buffers.append(AccessUnit(send, buffer.pts, buffer.extract_dup(0, buffer.get_size()), key))
        pipeline.set_state(Gst.State.NULL)
        if len(buffers) < 2:
            sys.exit(f"{path}: no H.264 or H.265 video")
        first = buffers[0].send
        self.units = [AccessUnit(u.send - first, u.show - first, u.data, u.key) for u in buffers]
        shown = sorted(u.show for u in self.units)
        self.length = (shown[-1] - shown[0]) * len(shown) // (len(shown) - 1)


class Feeder(threading.Thread):
    """Pushes a clip's frames into one appsrc at their pace until told to stop."""

    def __init__(self, source, clip: Clip, camera: "Camera") -> None:
        super().__init__(daemon=True)
        self.source, self.clip, self.camera = source, clip, camera
        self.wanted = threading.Event()
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.wanted.wait(0.05):
            if self.stopped.is_set():
                return
        while (clock := self.source.get_clock()) is None:
            if self.stopped.wait(0.002):
                return
        running = clock.get_time() - self.source.get_base_time()
        started, loop = time.monotonic_ns(), 0
        to_utc = time.time_ns() - started
        while True:
            for index, unit in enumerate(self.clip.units):
                shift = loop * self.clip.length
                due = started + shift + unit.send
                if self.stopped.wait(max(0, due - time.monotonic_ns()) / 1e9):
                    return
                if self.camera.muted:
                    continue
                buffer = Gst.Buffer.new_wrapped(unit.data)
                buffer.pts = running + shift + unit.show
                if not unit.key:
                    buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
                self.camera.note(f"{to_utc + started + shift + unit.show} {loop} {index}")
                if self.source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return
            loop += 1


class Camera(GstRtspServer.RTSPMediaFactory):
    """One shared live stream."""

    def __init__(self, clip: Clip | None, *, audio: bool, sound: str, udp_only: bool, log: Path | None) -> None:
        super().__init__()
        self.clip = clip
        self.muted = False
        self.log = log.open("a", buffering=1) if log else None
        # Of a shared stream of which another client takes the frames alone, this library gives nobody the sound.
        self.set_shared(not (audio and clip is not None and sound != "mulaw"))
        self.set_latency(0)
        udp, tcp = GstRtsp.RTSPLowerTrans.UDP, GstRtsp.RTSPLowerTrans.TCP
        self.set_protocols(udp if udp_only else tcp | udp)
        parts = []
        if clip is not None:
            parts.append(
                f"appsrc name=video is-live=true format=time ! rtp{clip.codec}pay name=pay0 pt=96 config-interval=0 "
                "aggregate-mode=zero-latency mtu=1400"
            )
        if audio:
            parts.append(f"audiotestsrc is-live=true {SOUNDS[sound].format(name=f'pay{len(parts)}')}")
        self.set_launch(f"( {' '.join(parts)} )")
        self.connect("media-configure", self._configured)

    def do_gen_key(self, url) -> str:
        """One stream for all: left to itself the library makes another one for each port that a client came through."""
        return url.abspath

    def _configured(self, _factory, media) -> None:
        source = media.get_element().get_by_name("video")
        if source is None:
            return
        media.get_element().get_parent().connect("element-added", self._report_capture_times)
        source.set_property("caps", Gst.Caps.from_string(self.clip.caps))
        feeder = Feeder(source, self.clip, self)
        source.connect("need-data", lambda *_: feeder.wanted.set())
        feeder.start()
        media.connect("unprepared", lambda _: feeder.stopped.set())

    @staticmethod
    def _report_capture_times(_pipeline, element) -> None:
        """Sender reports shall tell when frames entered the stream, not when they left it."""
        if element.find_property("rtcp-sync-send-time"):
            element.set_property("rtcp-sync-send-time", False)

    def note(self, line: str) -> None:
        """Write down one frame's sending."""
        if self.log:
            self.log.write(line + "\n")


def protect(factory: Camera, arguments: argparse.Namespace) -> "GstRtspServer.RTSPAuth | None":
    """Ask clients for a password, serve over TLS, or both."""
    if not (arguments.user or arguments.tls):
        return None
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    if arguments.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(str(arguments.tls)))
    if not arguments.user:
        auth.set_default_token(token)
    elif arguments.auth == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(arguments.user, arguments.password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(arguments.user, arguments.password, token)
    rights = "viewer,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.from_string(rights)[0])
    return auth


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="?", help="MP4; without one there is only sound")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/cam")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=("basic", "digest"), default="digest")
    parser.add_argument("--tls", type=Path, help="PEM with key and certificate: serve rtsps")
    parser.add_argument("--audio", action="store_true")
    parser.add_argument("--sound", choices=tuple(SOUNDS), default="mulaw", help="with --audio: how it is coded")
    parser.add_argument("--udp-only", action="store_true", help="refuse RTP over TCP, as some old cameras do")
    parser.add_argument("--log", type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = options()
    Gst.init(None)
    clip = Clip(arguments.clip) if arguments.clip else None
    camera = Camera(clip, audio=arguments.audio, sound=arguments.sound, udp_only=arguments.udp_only, log=arguments.log)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    auth = protect(camera, arguments)
    if auth is not None:
        server.set_auth(auth)
    server.get_mount_points().add_factory(arguments.path, camera)
    if server.attach(None) == 0:
        sys.exit(f"port {arguments.port} is taken")
    loop = GLib.MainLoop()

    def mute() -> bool:
        camera.muted = not camera.muted
        return True

    def throw_out() -> bool:
        server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
        return True

    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGUSR1, mute)
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGUSR2, throw_out)
    GLib.timeout_add_seconds(5, lambda: server.get_session_pool().cleanup() >= 0)
    print("ready", flush=True)  # noqa: T201 - what the test waits for
    loop.run()


if __name__ == "__main__":
    main()
