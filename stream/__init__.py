"""What flows in (pictures of cameras and files) and out (numbered messages): this package's one door.

Names load on first use, so that a subscriber needs neither PyAV nor OpenCV installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.address import camera_name, redact
    from stream.camera import Camera, CameraStatus
    from stream.errors import BadVideo, CannotOpen, FeedError, JournalError, StreamError
    from stream.feed import Feed, FeedOptions
    from stream.feed_order import Cursor, Notice, Received
    from stream.frame import Clock, Frame
    from stream.message import Message
    from stream.opencv import load_opencv
    from stream.options import CaptureOptions
    from stream.subscriber import AsyncSubscriber, Subscriber, SubscriberOptions
    from stream.video import Video, open_video

_HOME = {
    "AsyncSubscriber": "subscriber",
    "BadVideo": "errors",
    "Camera": "camera",
    "CameraStatus": "camera",
    "CannotOpen": "errors",
    "CaptureOptions": "options",
    "Clock": "frame",
    "Cursor": "feed_order",
    "Feed": "feed",
    "FeedError": "errors",
    "FeedOptions": "feed",
    "Frame": "frame",
    "JournalError": "errors",
    "Message": "message",
    "Notice": "feed_order",
    "Received": "feed_order",
    "StreamError": "errors",
    "Subscriber": "subscriber",
    "SubscriberOptions": "subscriber",
    "Video": "video",
    "camera_name": "address",
    "load_opencv": "opencv",
    "open_video": "video",
    "redact": "address",
}

__all__ = [
    "AsyncSubscriber",
    "BadVideo",
    "Camera",
    "CameraStatus",
    "CannotOpen",
    "CaptureOptions",
    "Clock",
    "Cursor",
    "Feed",
    "FeedError",
    "FeedOptions",
    "Frame",
    "JournalError",
    "Message",
    "Notice",
    "Received",
    "StreamError",
    "Subscriber",
    "SubscriberOptions",
    "Video",
    "camera_name",
    "load_opencv",
    "open_video",
    "redact",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stream' has no attribute {name!r}")
    return getattr(import_module(f"stream.{_HOME[name]}"), name)
