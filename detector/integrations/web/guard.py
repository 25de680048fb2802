"""Access control of the page: Host, Origin, token and method, checked before any answer."""

import hmac
import ipaddress
from collections.abc import Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "lightning_page"
POLICY = (
    "default-src 'none'; img-src 'self' data: blob:; media-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_METHODS = ("GET", "HEAD")
_PATH_BYTES = 2048
_COOKIE_SECONDS = 30 * 86_400


class Guard:
    """Refuse requests that are not allowed, and add security headers to the answers.

    A page of another site that resolves its own name to this address (DNS rebinding) has its name in Host, and a script
    of another site has its own in Origin or Sec-Fetch-Site: both are refused, with a token or without.

    Args:
        app: answers the admitted requests.
        hosts: names under which the page may be requested, besides IP addresses and localhost.
        token: required as `Authorization: Bearer`, or once as ?token=, which sets a cookie; None requires nothing.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = (), token: str | None = None) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts} | {"localhost"}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send_with_headers)

    def _refusal(self, scope: MutableMapping[str, Any]) -> Response | None:
        headers = _one_of_each(scope["headers"])
        if headers is None:
            return _refused(400, "a header that may be there once is there twice")
        if scope["method"] not in _METHODS:
            return JSONResponse({"error": "this page only answers GET and HEAD"}, 405, {"allow": ", ".join(_METHODS)})
        if len(scope.get("raw_path") or b"") > _PATH_BYTES or len(scope["query_string"]) > _PATH_BYTES:
            return _refused(414, "the address is too long")
        host = headers.get("host", "")
        if not self._known_host(host):
            return _refused(421, "this page is not asked for under that name; see page.hosts of the settings")
        if _is_from_elsewhere(headers, host, scope["path"]):
            return _refused(403, "pages of other sites may not ask")
        return None if self._token is None else self._without_token(scope, headers, self._token)

    def _without_token(self, scope: MutableMapping[str, Any], headers: dict[str, str], token: str) -> Response | None:
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(shown.strip(), token):
            return None
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is not None and _same(cookie.value, _cookie_of(token)):
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and _same(given, token):
            answer = RedirectResponse(quote(scope["path"]) if scope["path"] in ("/", "/mask") else "/", 303)
            answer.set_cookie(
                COOKIE, _cookie_of(token), max_age=_COOKIE_SECONDS, httponly=True, samesite="strict",
                secure=scope.get("scheme") == "https",
            )  # fmt: skip
            return answer
        return JSONResponse(
            {"error": "show the token: open /?token=TOKEN once, or send Authorization: Bearer TOKEN"},
            401,
            {"www-authenticate": "Bearer"},
        )

    def _known_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if not name or any(sign in host for sign in "/\\@?# "):
            return False
        if name.lower() in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _is_from_elsewhere(headers: dict[str, str], host: str, path: str) -> bool:
    """Return whether a page of another site asks; its links to the pages themselves are allowed."""
    if "origin" in headers:
        try:
            origin = urlsplit(headers["origin"]).netloc
        except ValueError:
            return True
        if origin.lower() != host.lower():
            return True
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and path not in ("/", "/mask")


def _cookie_of(token: str) -> str:
    """Return the value of the cookie, which is not the token itself."""
    return hmac.new(token.encode(), b"cookie of the live page", "sha256").hexdigest()


def _same(shown: str, wanted: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), wanted.encode())


def _one_of_each(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1").lower()
        if key in found and key in ("host", "origin", "authorization"):
            return None
        found[key] = value.decode("latin-1")
    return found


def _refused(code: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, code)
