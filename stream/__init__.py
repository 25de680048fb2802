"""What flows in (pictures of cameras and files) and out (numbered messages): this package's one door.

Names load on first use, so that a subscriber needs neither PyAV nor OpenCV installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.address import camera_name, redact
    from stream.errors import CannotOpen, FeedError, StreamError
    from stream.frame import Frame
    from stream.message import Message

_HOME = {
    "CannotOpen": "errors",
    "FeedError": "errors",
    "Frame": "frame",
    "Message": "message",
    "StreamError": "errors",
    "camera_name": "address",
    "redact": "address",
}

__all__ = [
    "CannotOpen",
    "FeedError",
    "Frame",
    "Message",
    "StreamError",
    "camera_name",
    "redact",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stream' has no attribute {name!r}")
    return getattr(import_module(f"stream.{_HOME[name]}"), name)
