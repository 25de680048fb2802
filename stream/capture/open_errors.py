"""Error messages for sources that cannot be opened: one line, without passwords."""

import errno
import socket
from pathlib import Path
from urllib.parse import urlsplit

import av

from stream.capture.addresses import host_of, is_url, redact
from stream.capture.allowed import kind_of_refused
from stream.capture.stored import is_stored
from stream.errors import OpenError

_REFUSED = {
    av.error.HTTPUnauthorizedError: "the user name or password is wrong or missing (401); check both in the address",
    av.error.HTTPForbiddenError: "access is forbidden for this user (403); check the user's rights on the camera",
    av.error.HTTPNotFoundError: "the path is unknown there (404); check the part after the host in the address",
    av.error.HTTPBadRequestError: "the request was refused (400); check the path in the address",
    av.error.ProtocolNotFoundError: "this kind of address is not supported; use rtsp, rtsps, http, https or a file",
    av.error.DecoderNotFoundError: "no decoder for its video",
    av.error.DemuxerNotFoundError: "not a known kind of video",
}


# FFmpeg's error for a format that is not on the allow lists.
_HINTS: dict[type[Exception], str] = {
    av.error.ArgumentError: " (with a playlist or another text, by which other hosts might be opened)"
}


def explain_open_error(address: str, error: Exception, *, silent_seconds: float | None = None) -> OpenError:
    """Return the OpenError that says why `address` did not open; it is `permanent` if only a person can help.

    Args:
        address: address of the source.
        error: the error raised by FFmpeg or PyAV.
        silent_seconds: seconds that its server did not answer; None if it answered.
    """
    shown = redact(address)
    for kind, words in _REFUSED.items():
        if isinstance(error, kind):
            return OpenError(f"{shown}: {words}", permanent=True)
    if isinstance(error, av.error.HTTPOtherClientError):
        return OpenError(f"{shown}: the camera offers no video there ({reason_of(error)})", permanent=True)
    if not is_url(address) or is_stored(address):
        return OpenError(f"{shown}: {_explain_file(address, error)}", permanent=True)
    if host_of(address) is None:
        return OpenError(f"{shown}: no host can be read from it; expected rtsp://HOST:554/PATH or so", permanent=True)
    if not _has_possible_port(shown):
        return OpenError(f"{shown}: its port is no number from 0 to 65535; check the address", permanent=True)
    return OpenError(f"{shown}: {_explain_network(address, error, silent_seconds)}")


def _explain_network(address: str, error: Exception, silent_seconds: float | None) -> str:
    host = host_of(address)
    # If a character of the password ends the host too early, part of the password would be shown as the host.
    meant = host == host_of(redact(address))
    where = f"{host}:{port_of(address)}" if meant else "what stands for its host"
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refused the connection; is the camera on, and is the port right?"
    if isinstance(error, av.error.ExitError | TimeoutError) or (silent_seconds is not None and not unknown_host(host)):
        limit = "in time" if silent_seconds is None else f"in {silent_seconds:.0f} s"
        return f"{where} did not answer {limit}; is the camera on and reachable?"
    if unknown_host(host):
        return _explain_host(host, meant=meant)
    if isinstance(error, av.error.InvalidDataError | ValueError):
        return f"{where} answered, but not with video{_HINTS.get(type(error), '')}; check the port and the path"
    if urlsplit(address).scheme in ("rtsps", "https") and getattr(error, "errno", None) == errno.EIO:
        return (
            f"no trusted TLS connection to {where}; a camera that signs its own certificate needs it named in "
            "capture.tls_ca_file, or capture.tls_verify = false"
        )
    return f"cannot be opened: {reason_of(error)}"


def _explain_host(host: str | None, *, meant: bool) -> str:
    if not meant:
        return "the host is not found; write / ? # in a user name or password as %2F %3F %23, and @ as %40"
    return f"the host name {host} is unknown; check the address and the network"


def unknown_host(host: str | None) -> bool:
    """Return whether the host's name cannot be resolved now."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return True
    return False


def _has_possible_port(address: str) -> bool:
    try:
        _ = urlsplit(address).port
    except ValueError:
        return False
    return True


def port_of(address: str) -> int:
    """Return the TCP port of a URL, or 0 if it is unknown."""
    defaults = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
    try:
        parts = urlsplit(address)
        return parts.port or defaults.get(parts.scheme, 0)
    except ValueError:
        return 0


def _explain_file(address: str, error: Exception) -> str:
    if isinstance(error, av.error.InvalidDataError | ValueError):
        kind = kind_of_refused(_head_of(address))
        if kind is not None:
            return f"is {kind}"
    if isinstance(error, av.error.InvalidDataError):
        return "is not a video, or its beginning or index is missing (a recording that was never finished)"
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return "may not be read: permission denied"
    return f"cannot be opened: {reason_of(error)}"


def _head_of(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(64)
    except OSError:
        return b""


def reason_of(error: Exception) -> str:
    """Return the reason in `error` without the address, which FFmpeg's and PyAV's errors contain with its password."""
    return redact(getattr(error, "strerror", None) or error)
