"""Video capture and the event feed: public API.

Names load on first use, so that a subscriber needs neither PyAV nor OpenCV installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.capture.addresses import camera_name, redact
    from stream.capture.clip_reencode import reencode_clip
    from stream.capture.clip_writer import Clip
    from stream.capture.decoding import decoder_threads, hardware_kind
    from stream.capture.files.growing_file import GrowingFile, StandardInput
    from stream.capture.files.image_sequence import IMAGE_SUFFIXES, ImageSequence
    from stream.capture.files.joined_video import JoinedVideo, gap_after
    from stream.capture.files.part import Part
    from stream.capture.files.video_file import Video
    from stream.capture.files.video_streams import StreamChoice, choose_streams
    from stream.capture.frame import Frame
    from stream.capture.live.backoff import Backoff
    from stream.capture.live.camera import Camera
    from stream.capture.live.lenses import choose_camera_streams
    from stream.capture.live.network import RECEIVE_BYTES, granted_receive_bytes
    from stream.capture.live.probe import CameraProbe, probe_camera
    from stream.capture.open_video import open_video
    from stream.capture.opencv import load_opencv
    from stream.capture.options import CaptureOptions, HardwareKind
    from stream.capture.safe_text import printable
    from stream.capture.status import CameraStatus, Clock, Quality
    from stream.capture.stored import STORES, is_stored, stored_files
    from stream.capture.timing.host_clock import HostClock, read_host_clock
    from stream.errors import FeedError, JournalError, OpenError, StreamError, VideoError
    from stream.feed.atomic_file import write_atomically
    from stream.feed.journal import JournalRecord, RelayPosition
    from stream.feed.journal_reader import HistoryFilter, read_history
    from stream.feed.keys import (
        ClientKeys,
        allow_client,
        list_clients,
        make_client_keys,
        make_server_keys,
        new_client_keys,
        revoke_client,
    )
    from stream.feed.message import Message, WireMessage, utc_text
    from stream.feed.options import FeedOptions
    from stream.feed.protocol import FeedCapabilities, Heartbeat, feed_capabilities, parse_endpoint
    from stream.feed.publisher import Publisher
    from stream.feed.reassembly import Cursor, Received, SubscriberNotice
    from stream.feed.subscriber import AsyncSubscriber, Subscriber, SubscriberOptions

_HOME = {
    "AsyncSubscriber": "feed.subscriber",
    "Backoff": "capture.live.backoff",
    "Camera": "capture.live.camera",
    "CameraProbe": "capture.live.probe",
    "CameraStatus": "capture.status",
    "CaptureOptions": "capture.options",
    "ClientKeys": "feed.keys",
    "Clip": "capture.clip_writer",
    "Clock": "capture.status",
    "Cursor": "feed.reassembly",
    "FeedCapabilities": "feed.protocol",
    "FeedError": "errors",
    "FeedOptions": "feed.options",
    "Frame": "capture.frame",
    "GrowingFile": "capture.files.growing_file",
    "HardwareKind": "capture.options",
    "Heartbeat": "feed.protocol",
    "HistoryFilter": "feed.journal_reader",
    "HostClock": "capture.timing.host_clock",
    "IMAGE_SUFFIXES": "capture.files.image_sequence",
    "ImageSequence": "capture.files.image_sequence",
    "JoinedVideo": "capture.files.joined_video",
    "JournalError": "errors",
    "JournalRecord": "feed.journal",
    "Message": "feed.message",
    "OpenError": "errors",
    "Part": "capture.files.part",
    "Publisher": "feed.publisher",
    "Quality": "capture.status",
    "RECEIVE_BYTES": "capture.live.network",
    "Received": "feed.reassembly",
    "RelayPosition": "feed.journal",
    "STORES": "capture.stored",
    "StandardInput": "capture.files.growing_file",
    "StreamChoice": "capture.files.video_streams",
    "StreamError": "errors",
    "Subscriber": "feed.subscriber",
    "SubscriberNotice": "feed.reassembly",
    "SubscriberOptions": "feed.subscriber",
    "Video": "capture.files.video_file",
    "VideoError": "errors",
    "WireMessage": "feed.message",
    "allow_client": "feed.keys",
    "camera_name": "capture.addresses",
    "choose_camera_streams": "capture.live.lenses",
    "choose_streams": "capture.files.video_streams",
    "decoder_threads": "capture.decoding",
    "feed_capabilities": "feed.protocol",
    "gap_after": "capture.files.joined_video",
    "hardware_kind": "capture.decoding",
    "granted_receive_bytes": "capture.live.network",
    "is_stored": "capture.stored",
    "list_clients": "feed.keys",
    "load_opencv": "capture.opencv",
    "make_client_keys": "feed.keys",
    "make_server_keys": "feed.keys",
    "new_client_keys": "feed.keys",
    "open_video": "capture.open_video",
    "parse_endpoint": "feed.protocol",
    "printable": "capture.safe_text",
    "probe_camera": "capture.live.probe",
    "read_history": "feed.journal_reader",
    "read_host_clock": "capture.timing.host_clock",
    "redact": "capture.addresses",
    "reencode_clip": "capture.clip_reencode",
    "revoke_client": "feed.keys",
    "stored_files": "capture.stored",
    "utc_text": "feed.message",
    "write_atomically": "feed.atomic_file",
}

__all__ = [
    "IMAGE_SUFFIXES",
    "RECEIVE_BYTES",
    "STORES",
    "AsyncSubscriber",
    "Backoff",
    "Camera",
    "CameraProbe",
    "CameraStatus",
    "CaptureOptions",
    "ClientKeys",
    "Clip",
    "Clock",
    "Cursor",
    "FeedCapabilities",
    "FeedError",
    "FeedOptions",
    "Frame",
    "GrowingFile",
    "HardwareKind",
    "Heartbeat",
    "HistoryFilter",
    "HostClock",
    "ImageSequence",
    "JoinedVideo",
    "JournalError",
    "JournalRecord",
    "Message",
    "OpenError",
    "Part",
    "Publisher",
    "Quality",
    "Received",
    "RelayPosition",
    "StandardInput",
    "StreamChoice",
    "StreamError",
    "Subscriber",
    "SubscriberNotice",
    "SubscriberOptions",
    "Video",
    "VideoError",
    "WireMessage",
    "allow_client",
    "camera_name",
    "choose_camera_streams",
    "choose_streams",
    "decoder_threads",
    "feed_capabilities",
    "gap_after",
    "granted_receive_bytes",
    "hardware_kind",
    "is_stored",
    "list_clients",
    "load_opencv",
    "make_client_keys",
    "make_server_keys",
    "new_client_keys",
    "open_video",
    "parse_endpoint",
    "printable",
    "probe_camera",
    "read_history",
    "read_host_clock",
    "redact",
    "reencode_clip",
    "revoke_client",
    "stored_files",
    "utc_text",
    "write_atomically",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stream' has no attribute {name!r}")
    return getattr(import_module(f"stream.{_HOME[name]}"), name)
