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
    from stream.capture.frame import Clock, Frame
    from stream.capture.live.camera import Camera
    from stream.capture.live.receive_buffer import RECEIVE_BYTES, granted_receive_bytes
    from stream.capture.opencv import load_opencv
    from stream.capture.options import CaptureOptions
    from stream.capture.status import CameraStatus
    from stream.errors import BadVideo, CannotOpen, FeedError, JournalError, StreamError
    from stream.feed import Feed
    from stream.feed_history import HistoryFilter, Kept, read_history
    from stream.feed_options import FeedOptions
    from stream.feed_order import Cursor, Notice, Received
    from stream.feed_wire import parse_endpoint
    from stream.feed_zeromq import FeedCapabilities, feed_capabilities
    from stream.journal import Upstream
    from stream.keys import allow_client, list_clients, make_client_keys, make_server_keys, revoke_client
    from stream.message import Message, utc_text
    from stream.subscriber import AsyncSubscriber, Subscriber, SubscriberOptions

_HOME = {
    "RECEIVE_BYTES": "capture.live.receive_buffer",
    "AsyncSubscriber": "subscriber",
    "BadVideo": "errors",
    "Camera": "capture.live.camera",
    "CameraStatus": "capture.status",
    "CannotOpen": "errors",
    "CaptureOptions": "capture.options",
    "Clip": "capture.clip_buffer",
    "Clock": "capture.frame",
    "Cursor": "feed_order",
    "Feed": "feed",
    "FeedCapabilities": "feed_zeromq",
    "FeedError": "errors",
    "FeedOptions": "feed_options",
    "Frame": "capture.frame",
    "GrowingFile": "capture.files.growing_file",
    "HistoryFilter": "feed_history",
    "JournalError": "errors",
    "Kept": "feed_history",
    "Message": "message",
    "Notice": "feed_order",
    "Received": "feed_order",
    "StreamError": "errors",
    "Subscriber": "subscriber",
    "SubscriberOptions": "subscriber",
    "Upstream": "journal",
    "Video": "capture.files.video_file",
    "allow_client": "keys",
    "camera_name": "capture.addresses",
    "feed_capabilities": "feed_zeromq",
    "granted_receive_bytes": "capture.live.receive_buffer",
    "list_clients": "keys",
    "load_opencv": "capture.opencv",
    "make_client_keys": "keys",
    "make_server_keys": "keys",
    "open_video": "capture.files.video_file",
    "parse_endpoint": "feed_wire",
    "read_history": "feed_history",
    "redact": "capture.addresses",
    "utc_text": "message",
    "revoke_client": "keys",
}

__all__ = [
    "RECEIVE_BYTES",
    "AsyncSubscriber",
    "BadVideo",
    "Camera",
    "CameraStatus",
    "CannotOpen",
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
    "Kept",
    "Message",
    "Notice",
    "Received",
    "StreamError",
    "Subscriber",
    "SubscriberOptions",
    "Upstream",
    "Video",
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
