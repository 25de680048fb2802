"""Addresses of sources: what may be shown of them, and the camera name made from one."""

import re
from pathlib import PurePath
from unicodedata import combining, normalize
from urllib.parse import urlsplit

# A password may hold any sign: whatever stands before the last @ of a word goes, from the scheme or `user:` on.
_CREDENTIALS = re.compile(r"(?<=://)(?:[^\s/?#]*:\S*|[^\s/?#]*)@|(?<![\w.+-])[\w.+-]+:(?!//)\S*@")
_HIDDEN = (
    r"(?:u|usr|user|username|login\w*|account|p|pw|psw|pwd|pass|passwd|password|"
    r"token|key|apikey|auth|secret|sig|signature)="
)
# Some cameras want them in the path: /user=admin_password=secret_channel=1_stream=0.sdp
_SECRET = re.compile(
    rf"(?i)([?&/_;])({_HIDDEN})[^&\s]*?(?=['\",:)]*(?:[&\s]|$)|_(?:channel|stream|subtype)=|[_;]{_HIDDEN})"
)
_HOST_AND_PATH = re.compile(r"[^:]*://([^/?#]*?)(?::\d*)?(?=[/?#]|$)([^?#]*).*")
_NOT_NAME = re.compile(r"[^a-z0-9]+")


def redact(text: object) -> str:
    """`str(text)` with user names, passwords and tokens of every address in it replaced by ***, as valid UTF-8.

    Use it on everything that leaves: FFmpeg's and PyAV's errors carry the whole URL.
    """
    said = str(text).encode(errors="backslashreplace").decode()
    return _SECRET.sub(r"\1\2***", _CREDENTIALS.sub("***@", said))


def is_url(address: str) -> bool:
    """Whether `address` is a URL and not a path or a device."""
    return "://" in address


def in_one_word(address: str) -> str:
    """`address` as it is, but a URL without blanks: what is behind one would not be known as part of it."""
    return re.sub(r"\s", "%20", address) if is_url(address) else address


def host_of(address: str) -> str | None:
    """The host in a URL, or None where none can be read."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def camera_name(address: str) -> str:
    """A name for the source at `address`: at most 32 of a-z, 0-9 and '-', as topics and ids allow; nothing secret.

    Letters lose their accents.
    """
    words = _SECRET.sub(r"\1", _CREDENTIALS.sub("", in_one_word(address)))
    words = _HOST_AND_PATH.sub(r"\1-\2", words) if is_url(address) else PurePath(words).stem
    letters = "".join(sign for sign in normalize("NFKD", words.casefold()) if not combining(sign))
    return _NOT_NAME.sub("-", letters).strip("-")[:32].strip("-") or "camera"
