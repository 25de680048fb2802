"""Addresses of sources: what may be shown of them, and the camera name made from one."""

import re
from pathlib import PurePath
from urllib.parse import urlsplit

_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"]*@")
_SECRET_QUERY = re.compile(r"(?i)([?&](?:user|usr|login|password|passwd|pwd|pass|token|key|auth)=)[^&\s'\"]*")
_NOT_NAME = re.compile(r"[^a-z0-9]+")


def redact(text: object) -> str:
    """`str(text)` with user names, passwords and tokens of every URL in it replaced by ***.

    Use it on everything that leaves: FFmpeg's and PyAV's errors carry the whole URL.
    """
    return _SECRET_QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", str(text)))


def is_url(address: str) -> bool:
    """Whether `address` is a URL and not a path or a device."""
    return "://" in address


def camera_name(address: str) -> str:
    """A name for the source at `address`: at most 32 of a-z, 0-9 and '-', as topics and ids allow."""
    if is_url(address):
        parts = urlsplit(address)
        words = f"{parts.hostname or ''}-{parts.path}"
    else:
        words = PurePath(address).stem
    return _NOT_NAME.sub("-", words.lower()).strip("-")[:32].strip("-") or "camera"
