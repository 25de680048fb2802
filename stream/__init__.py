"""What flows in (pictures of cameras and files) and out (numbered messages): this package's one door.

Names load on first use, so that a subscriber needs neither PyAV nor OpenCV installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.address import camera_name, redact
    from stream.camera import Camera
    from stream.errors import BadVideo, CannotOpen, FeedError, JournalError, StreamError
    from stream.feed import Feed
    from stream.feed_history import HistoryFilter, Kept, read_history
    from stream.feed_options import FeedOptions
    from stream.feed_order import Cursor, Notice, Received
    from stream.feed_wire import parse_endpoint
    from stream.feed_zeromq import FeedCapabilities, feed_capabilities
    from stream.frame import Clock, Frame
    from stream.growing import GrowingFile
    from stream.history import Clip
    from stream.journal import Upstream
    from stream.keys import allow_client, list_clients, make_client_keys, make_server_keys, revoke_client
    from stream.message import Message, utc_text
    from stream.opencv import load_opencv
    from stream.options import CaptureOptions
    from stream.receive_buffer import RECEIVE_BYTES, granted_receive_bytes
    from stream.status import CameraStatus
    from stream.subscriber import AsyncSubscriber, Subscriber, SubscriberOptions
    from stream.video import Video, open_video

_HOME = {
    "RECEIVE_BYTES": "receive_buffer",
    "AsyncSubscriber": "subscriber",
    "BadVideo": "errors",
    "Camera": "camera",
    "CameraStatus": "status",
    "CannotOpen": "errors",
    "CaptureOptions": "options",
    "Clip": "history",
    "Clock": "frame",
    "Cursor": "feed_order",
    "Feed": "feed",
    "FeedCapabilities": "feed_zeromq",
    "FeedError": "errors",
    "FeedOptions": "feed_options",
    "Frame": "frame",
    "GrowingFile": "growing",
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
    "Video": "video",
    "allow_client": "keys",
    "camera_name": "address",
    "feed_capabilities": "feed_zeromq",
    "granted_receive_bytes": "receive_buffer",
    "list_clients": "keys",
    "load_opencv": "opencv",
    "make_client_keys": "keys",
    "make_server_keys": "keys",
    "open_video": "video",
    "parse_endpoint": "feed_wire",
    "read_history": "feed_history",
    "redact": "address",
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
