"""What flows in (pictures of cameras and files) and out (numbered messages): this package's one door.

Names load on first use, so that a subscriber needs neither PyAV nor OpenCV installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.capture.addresses import camera_name, redact
    from stream.capture.clip_buffer import Clip
    from stream.capture.files.growing_file import GrowingFile
    from stream.capture.files.video_file import Video, open_video
    from stream.capture.frame import Clock, Frame, Quality
    from stream.capture.live.camera import Camera
    from stream.capture.live.receive_buffer import RECEIVE_BYTES, granted_receive_bytes
    from stream.capture.opencv import load_opencv
    from stream.capture.options import CaptureOptions
    from stream.capture.status import CameraStatus
    from stream.errors import FeedError, JournalError, OpenError, StreamError, VideoError
    from stream.feed.journal import RelayPosition
    from stream.feed.journal_reader import HistoryFilter, JournalRecord, read_history
    from stream.feed.keys import allow_client, list_clients, make_client_keys, make_server_keys, revoke_client
    from stream.feed.message import Message, utc_text
    from stream.feed.options import FeedOptions
    from stream.feed.protocol import parse_endpoint
    from stream.feed.publisher import Feed
    from stream.feed.reassembly import Cursor, Received, SubscriberNotice
    from stream.feed.subscriber import AsyncSubscriber, Subscriber, SubscriberOptions
    from stream.feed.zeromq import FeedCapabilities, feed_capabilities

_HOME = {
    "RECEIVE_BYTES": "capture.live.receive_buffer",
    "AsyncSubscriber": "feed.subscriber",
    "VideoError": "errors",
    "Camera": "capture.live.camera",
    "CameraStatus": "capture.status",
    "OpenError": "errors",
    "CaptureOptions": "capture.options",
    "Clip": "capture.clip_buffer",
    "Clock": "capture.frame",
    "Cursor": "feed.reassembly",
    "Feed": "feed.publisher",
    "FeedCapabilities": "feed.zeromq",
    "FeedError": "errors",
    "FeedOptions": "feed.options",
    "Frame": "capture.frame",
    "GrowingFile": "capture.files.growing_file",
    "HistoryFilter": "feed.journal_reader",
    "JournalError": "errors",
    "JournalRecord": "feed.journal_reader",
    "Message": "feed.message",
    "SubscriberNotice": "feed.reassembly",
    "Received": "feed.reassembly",
    "StreamError": "errors",
    "Subscriber": "feed.subscriber",
    "SubscriberOptions": "feed.subscriber",
    "RelayPosition": "feed.journal",
    "Quality": "capture.frame",
    "Video": "capture.files.video_file",
    "allow_client": "feed.keys",
    "camera_name": "capture.addresses",
    "feed_capabilities": "feed.zeromq",
    "granted_receive_bytes": "capture.live.receive_buffer",
    "list_clients": "feed.keys",
    "load_opencv": "capture.opencv",
    "make_client_keys": "feed.keys",
    "make_server_keys": "feed.keys",
    "open_video": "capture.files.video_file",
    "parse_endpoint": "feed.protocol",
    "read_history": "feed.journal_reader",
    "redact": "capture.addresses",
    "utc_text": "feed.message",
    "revoke_client": "feed.keys",
}

__all__ = [
    "RECEIVE_BYTES",
    "AsyncSubscriber",
    "Camera",
    "CameraStatus",
    "CaptureOptions",
    "Clip",
    "Clock",
    "Cursor",
    "Feed",
    "FeedCapabilities",
    "FeedError",
    "FeedOptions",
    "Frame",
    "GrowingFile",
    "HistoryFilter",
    "JournalError",
    "JournalRecord",
    "Message",
    "OpenError",
    "Quality",
    "Received",
    "RelayPosition",
    "StreamError",
    "Subscriber",
    "SubscriberNotice",
    "SubscriberOptions",
    "Video",
    "VideoError",
    "allow_client",
    "camera_name",
    "feed_capabilities",
    "granted_receive_bytes",
    "list_clients",
    "load_opencv",
    "make_client_keys",
    "make_server_keys",
    "open_video",
    "parse_endpoint",
    "read_history",
    "redact",
    "revoke_client",
    "utc_text",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stream' has no attribute {name!r}")
    return getattr(import_module(f"stream.{_HOME[name]}"), name)
