"""Find out why a camera refused FFmpeg's log-in: a wrong password, or a scheme that FFmpeg does not support."""

import contextlib
import re
import socket
import ssl
from urllib.parse import urlsplit

from stream.capture.addresses import redact
from stream.capture.live.digest import Challenge, read_challenges
from stream.capture.open_errors import port_of
from stream.capture.options import CaptureOptions, tls_options
from stream.errors import OpenError

_HEAD_BYTES = 65_536
_END = b"\r\n\r\n"
_AUTHENTICATE = re.compile(r"(?im)^www-authenticate:[ \t]*(.*?)[ \t]*\r?$")
_TLS_SCHEMES = ("https", "rtsps")


def offers_in(head: str) -> list[Challenge]:
    """Return the challenges in the head of an answer, the strongest first."""
    return read_challenges(_AUTHENTICATE.findall(head))


def explain_refusal(address: str, options: CaptureOptions) -> OpenError:
    """Return why the camera at `address` (http, https or rtsps) refused FFmpeg's log-in.

    The camera is asked once more, without password, for its challenges.
    """
    shown = redact(address)
    offered: list[Challenge] = []
    with contextlib.suppress(OSError, ValueError):
        offered = offers_in(_ask(address, options))
    strange = [one for one in offered if one.scheme != "basic" and one.algorithm.lower() not in ("", "md5")]
    if strange:
        wanted = " and ".join(one.name for one in offered)
        return OpenError(
            f"{shown}: the camera asks for {wanted}, which is known here only for rtsp:// addresses; set its "
            "authentication to digest with MD5 alone, or use its rtsp:// address",
            permanent=True,
        )
    return OpenError(
        f"{shown}: the user name or password is wrong or missing (401); check both in the address", permanent=True
    )


def _ask(address: str, options: CaptureOptions) -> str:
    """Return the head of the answer to a request without log-in."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    place = f"[{host}]" if ":" in host else host
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme.lower().startswith("rtsp"):
        request = f"DESCRIBE {parts.scheme}://{place}:{port_of(address)}{path} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    else:
        request = f"GET {path} HTTP/1.1\r\nHost: {place}:{port_of(address)}\r\nConnection: close\r\n\r\n"
    with contextlib.ExitStack() as opened:
        one = opened.enter_context(socket.create_connection((host, port_of(address)), options.open_seconds))
        one.settimeout(options.open_seconds)
        if parts.scheme.lower() in _TLS_SCHEMES:
            one = opened.enter_context(_tls_context(address, options).wrap_socket(one, server_hostname=host))
        one.sendall(request.encode())
        data = b""
        while _END not in data and len(data) < _HEAD_BYTES and (more := one.recv(_HEAD_BYTES)):
            data += more
    return data.partition(_END)[0].decode(errors="replace") + "\r\n"


def _tls_context(address: str, options: CaptureOptions) -> ssl.SSLContext:
    trusted = tls_options(address, options).get("ca_file")
    context = ssl.create_default_context(cafile=trusted)
    if not options.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
