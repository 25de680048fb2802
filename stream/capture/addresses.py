"""Addresses of sources: redaction of secrets, and camera names made from addresses."""

import re
from pathlib import PurePath
from unicodedata import combining, normalize
from urllib.parse import urlsplit

_IPV4 = r"(?:\d{1,3}\.){3}\d{1,3}"
_IP_HOST = rf"(?:{_IPV4}|\[[\w:.%]{{2,60}}\])(?::\d*)?/"
_PORT = r"(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
# NAME:PORT/ may also be a user and the start of a password, if an @ and another host follow.
_OTHER_HOST = rf"\S{{0,300}}@(?:{_IPV4}|\[|[\w.-]+:\d|[\w-]+\.[\w.-]+/)"
_HOST = rf"(?P<host>(?:(?<=://)|(?<=@)){_IP_HOST}|(?<=://)[\w.-]{{1,253}}:{_PORT}/(?!{_OTHER_HOST}))"
# A password may hold any character: it ends at the last @ before an IP address, or else at the last @ of the word.
_PASSWORD = rf"(?:\S*@(?={_IP_HOST})|\S*@)"
_USER = rf"(?<=://)(?:[^\s/?#:]*:{_PASSWORD}|[^\s/?#]*@)"
# Without a scheme, `user:` must begin a word: footage/10:30@roof.mp4 is a file.
_IN_FILE = re.compile(rf"{_HOST}|{_USER}|(?<![\w.+/-])[\w.+-]+:(?!//){_PASSWORD}")
_IN_URL = re.compile(rf"{_HOST}|{_USER}|(?<![\w.+-])[\w.+-]+:(?!//){_PASSWORD}")
# Only the host follows the last @ of a word; searching no further keeps long texts fast.
_TO_LAST_HOST = re.compile(r"(?<!\S)\S*@\S{0,300}")
_HIDDEN = (
    r"(?:u|usr|user|username|login\w{0,20}|account|p|pw|psw|pwd|pass|passwd|password|"
    r"token|key|apikey|auth|secret|sig|signature)="
)
# Some cameras take the login in the path: /user=admin_password=secret_channel=1_stream=0.sdp
_SECRET = re.compile(
    rf"(?i)([?&/_;])({_HIDDEN})[^&\s]*?(?=['\",:)]{{0,9}}(?:[&\s]|$)|_(?:channel|stream|subtype)=|[_;]{_HIDDEN})"
)
# Only after the first address, even one without a scheme: a file's path may hold user=3.mp4.
_ADDRESS = re.compile(rf"(?is)(?:[a-z]{{2}}:/|\*@|(?<![\w./-]){_IPV4}[:/]|[?&;]{_HIDDEN}).*")
_HOST_AND_PATH = re.compile(r"([^/?#]*?)(?::\d*)?(?=[/?#]|$)([^?#]*).*")
_MASKED = re.compile(r"(?<![^\W_])[^\W_]+=\*{3}|\*{3}@")
_NOT_NAME = re.compile(r"[^a-z0-9]+")


def redact(text: object) -> str:
    """Return `str(text)` as valid UTF-8, with user names, passwords and tokens of every address replaced by ***.

    Use it on everything that leaves the program: FFmpeg's and PyAV's errors contain the whole URL.
    """
    return _masked(str(text).encode(errors="backslashreplace").decode())


def _masked(text: str) -> str:
    without_users = _TO_LAST_HOST.sub(_without_users, text)
    return _ADDRESS.sub(lambda found: _SECRET.sub(r"\1\2***", found[0]), without_users, count=1)


def _without_users(word: re.Match[str]) -> str:
    users = _IN_URL if ":/" in word[0] else _IN_FILE
    return users.sub(lambda found: found["host"] or "***@", word[0])


def is_url(address: str) -> bool:
    """Return whether `address` is a URL and not a path or a device."""
    return "://" in address


def in_one_word(address: str) -> str:
    """Return the URL `address` with its blanks escaped, so that all of it is recognised as one address."""
    return re.sub(r"\s", "%20", address) if is_url(address) else address


def host_of(address: str) -> str | None:
    """Return the host of a URL, or None if it cannot be read."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def camera_name(address: str) -> str:
    """Return a name for the source at `address`: at most 32 of a-z, 0-9 and '-', without secrets and accents."""
    words = _MASKED.sub("", _masked(in_one_word(address)))
    words = _HOST_AND_PATH.sub(r"\1-\2", words.partition("://")[2], count=1) if is_url(words) else PurePath(words).stem
    letters = "".join(char for char in normalize("NFKD", words.casefold()) if not combining(char))
    return _NOT_NAME.sub("-", letters).strip("-")[:32].strip("-") or "camera"


def is_playlist(address: str) -> bool:
    """Return whether a path or URL is named as a playlist; what else it might be is never taken for one."""
    # A mistyped address is refused where it is opened.
    path = address.partition("?")[0].partition("#")[0] if is_url(address) else address
    return path.lower().endswith((".m3u8", ".m3u"))
