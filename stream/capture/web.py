"""Read http and https: this module, not a server, decides which hosts a redirect or playlist may lead to."""

import errno
import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

from stream.capture.addresses import redact
from stream.capture.options import CaptureOptions
from stream.errors import OpenError

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_AGENT = "lightning-detector"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class WebError(OSError):
    """A web address cannot be read, or is not allowed."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The hosts that content read at one address may lead to.

    Allowed are public hosts, the host itself and, if its address is private or local, others of the same kind.
    Link-local addresses, where cloud services offer their keys, are allowed only for the same host.

    Attributes:
        host: host of the address; None for a file.
        kinds: kinds of its IP addresses.
    """

    host: str | None
    kinds: frozenset[str]

    @classmethod
    def of(cls, url: str | None) -> "Neighbourhood":
        """Return the hosts allowed for a URL, or for a file."""
        if url is None:
            return cls(None, frozenset())
        host = urlsplit(url).hostname or ""
        return cls(host, frozenset(_kind_of(address) for address in _addresses(host, urlsplit(url).port or 80)))

    def address_for(self, host: str, port: int) -> str:
        """Return the IP address for a connection to `host`.

        Raises:
            WebError: the host is not allowed, or has no address.
        """
        addresses = _addresses(host, port)
        for address in addresses:
            kind = _kind_of(address)
            allowed = kind == "public" or host == self.host or (kind in self.kinds and kind != "link-local")
            if not allowed:
                raise WebError(f"{host} has a {kind} address ({address}), which nothing from elsewhere may name")
        return str(addresses[0])


def _addresses(host: str, port: int) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise WebError(f"the host name {host} is unknown") from error
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _kind_of(address: _Address) -> str:
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if address.is_loopback or address.is_unspecified:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return "public" if address.is_global and not address.is_multicast else "private"


class _Connection(http.client.HTTPConnection):
    """A connection to a checked IP address, whatever the host's name resolves to later."""

    def __init__(self, host: str, port: int, address: str, timeout: float, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=timeout)
        self._checked = address
        self._context = context

    def connect(self) -> None:
        """Connect to the checked address."""
        plain = socket.create_connection((self._checked, self.port), self.timeout)
        self.sock = plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self.host)


def fetch(
    url: str, allowed: Neighbourhood, options: CaptureOptions, span: tuple[int, int] | None = None
) -> tuple[http.client.HTTPResponse, str]:
    """Request `url`, and follow redirects to `allowed` hosts.

    Args:
        url: an http or https URL.
        allowed: hosts that may be asked.
        options: time limits and TLS options.
        span: (first byte, number of bytes); all if omitted.

    Returns:
        the answer, and the URL that it came from.

    Raises:
        WebError: the resource does not exist, or the host is not allowed.
    """
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _ask(url, allowed, options, span)
        location = answer.getheader("Location")
        if answer.status in _REDIRECTS and location:
            answer.close()
            url = urljoin(url, location)
            continue
        if answer.status not in (200, 206):
            answer.close()
            raise WebError(f"{redact(url)}: the server answers {answer.status} {redact(answer.reason)}")
        return answer, url
    raise WebError(f"{redact(url)}: more than {_MOST_REDIRECTS} redirects")


def _ask(
    url: str, allowed: Neighbourhood, options: CaptureOptions, span: tuple[int, int] | None
) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or parts.hostname is None:
        raise WebError(f"{redact(url)}: only http and https are opened from here")
    headers = {"User-Agent": _AGENT, "Accept": "*/*"}
    if parts.username is not None:
        headers["Authorization"] = _basic(parts.username, parts.password or "")
    if span is not None:
        headers["Range"] = f"bytes={span[0]}-{span[0] + span[1] - 1}"
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        address = allowed.address_for(parts.hostname, port)
        context = _tls(options) if parts.scheme == "https" else None
        connection = _Connection(parts.hostname, port, address, options.open_seconds, context)
        connection.request("GET", target, headers=headers)
        return connection.getresponse()
    except WebError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise WebError(f"{redact(url)}: {redact(error) or type(error).__name__}") from None


def _basic(user: str, password: str) -> str:
    import base64  # noqa: PLC0415 - only few servers ask for it
    from urllib.parse import unquote  # noqa: PLC0415

    return "Basic " + base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def _tls(options: CaptureOptions) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.tls_ca_file or None)
    if not options.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def may_be_redirect(address: str, error: Exception) -> bool:
    """Return whether FFmpeg, which must not follow redirects, failed at `address` as it does at a redirect."""
    return address.partition("://")[0].lower() in _DEFAULT_PORTS and getattr(error, "errno", None) == errno.EIO


def redirected(url: str, options: CaptureOptions) -> str | None:
    """Return the URL that the server redirects `url` to within itself; None if it does not redirect.

    Raises:
        OpenError: the server redirects to another host.
    """
    begun = urlsplit(url)
    for _ in range(_MOST_REDIRECTS):
        try:
            answer = _ask(url, Neighbourhood.of(url), options, (0, 1))
        except WebError:
            return None
        location = answer.getheader("Location")
        answer.close()
        if answer.status not in _REDIRECTS or not location:
            return None if urlsplit(url) == begun else url
        target = urlsplit(urljoin(url, location))
        if not _same_server(begun, target):
            where = redact(target.netloc.rpartition("@")[2])
            raise OpenError(
                f"{redact(url)}: sends us on to {where}, which is not opened: a camera may not choose other hosts; "
                "give that address itself if it is right",
                permanent=True,
            )
        login = begun.netloc.rpartition("@")
        url = urlunsplit(target._replace(netloc=f"{login[0]}{login[1]}{target.netloc.rpartition('@')[2]}"))
    raise OpenError(f"{redact(url)}: redirects more than {_MOST_REDIRECTS} times", permanent=True)


def _same_server(first: object, second: object) -> bool:
    ports = []
    for parts in (first, second):
        scheme, port = getattr(parts, "scheme", ""), getattr(parts, "port", None)
        ports.append(port or _DEFAULT_PORTS.get(scheme))
    same_port = ports[0] == ports[1] or ports == [80, 443]
    return getattr(first, "hostname", None) == getattr(second, "hostname", "") and same_port and ports[1] is not None
