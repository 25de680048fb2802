"""The model servers of `served`: one, or several with the same model, the least loaded first."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from detector.errors import VerifierError
from detector.settings import ServedSettings
from stream import Backoff, redact

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 20.0
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_REQUEST_IS_WRONG = (400, 413, 422)  # another server with the same model would answer the same
_NEXT_ADDRESS = re.compile(r"\s*,\s*(?=https?://)")


Ask = Callable[[str, str, dict[str, Any] | None], Awaitable[bytes]]
"""Asks one server with method, path and body, and returns its successful answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer to one request."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def excerpt(self) -> str:
        """The start of its text, in one line of printable characters."""
        text = " ".join(self.content[:800].decode("utf-8", "replace").split())[:200]
        return "".join(sign if sign.isprintable() else "?" for sign in text)


class Endpoint:
    """One model server.

    Attributes:
        address: its base URL, without secrets.
        client: HTTP client for it.
        running: requests without an answer yet.
        asked: requests sent so far.
        away_until: until when it is left out, in monotonic seconds; 0 while it answers.
        known: whether it is known to have the model.
        answer_ids: token ids of Yes and No, if it can be asked for these.
    """

    def __init__(self, url: str, served: ServedSettings, key: str) -> None:
        self.address = redact(url)
        self.running = 0
        self.asked = 0
        self.away_until = 0.0
        self.known = False
        self.answer_ids: Sequence[int] = ()
        self.client = _client(url, served, key)
        self.backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)

    @property
    def answers(self) -> bool:
        """Whether it may be asked: it answers, or its pause is over."""
        return self.away_until <= time.monotonic()

    @property
    def on_trial(self) -> bool:
        """Whether its last request failed, so that it gets one at a time."""
        return self.away_until > 0.0


class ModelServers:
    """Ask one of several servers, the one with the fewest current requests.

    A server that fails is left out for a growing time and then gets one request, while the others do its work. Use it
    in one event loop.

    Attributes:
        all: the servers, in the order of the settings.
        changed: notified when one of them has answered or failed.

    Raises:
        VerifierError: there is no endpoint, or its address or key cannot be used.
    """

    def __init__(self, served: ServedSettings) -> None:
        urls = [url for url in _NEXT_ADDRESS.split(served.endpoint.strip().strip(",")) if url]
        for url in urls or [""]:
            if not url.startswith(("http://", "https://")):
                raise VerifierError(
                    f"verifier served: endpoint {redact(url)!r} is not the base URL of a model server; "
                    "give one with --endpoint, e.g. --endpoint http://127.0.0.1:8000/v1"
                )
        logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines for each request contain the whole address
        key = model_key(served.key_variable)
        self.all = [Endpoint(url, served, key) for url in dict.fromkeys(urls)]
        self._settings = served
        self.changed = asyncio.Condition()

    @property
    def text(self) -> str:
        """The addresses, and which of them do not answer."""
        words = [one.address + (" (does not answer)" if one.on_trial else "") for one in self.all]
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

    async def close(self) -> None:
        """Close the connections."""
        for endpoint in self.all:
            await endpoint.client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        body: Callable[[Endpoint], dict[str, Any] | None],
        introduce: Callable[[Endpoint, Ask], Awaitable[object]],
    ) -> tuple[bytes, Endpoint]:
        """Return a server's successful answer, and the server; retry if that can help.

        If another server answers, it is asked at once; if none does, requests are repeated after growing, random
        pauses.

        Args:
            method: HTTP method of the request.
            path: path below the base URL.
            body: makes the body for a server.
            introduce: awaited before the first request to a server that did not answer at the start.

        Raises:
            VerifierError: no server gives an answer.
        """
        return await self._request(self.all, method, path, body, introduce)

    async def request_one(self, endpoint: Endpoint, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        """Return this server's successful answer; retry after growing, random pauses if that can help.

        Raises:
            VerifierError: it cannot be had.
        """
        return (await self._request([endpoint], method, path, lambda _: body, None))[0]

    async def _request(
        self,
        among: Sequence[Endpoint],
        method: str,
        path: str,
        body: Callable[[Endpoint], dict[str, Any] | None],
        introduce: Callable[[Endpoint, Ask], Awaitable[object]] | None,
    ) -> tuple[bytes, Endpoint]:
        tries = self._settings.retries + len(among)
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        failed: set[Endpoint] = set()
        for number in range(1, tries + 1):
            wanted_pause, final = 0.0, False
            async with _Turn(self, among, failed) as turn:
                endpoint = turn.endpoint
                try:
                    if introduce is not None and not endpoint.known:
                        await introduce(endpoint, partial(self._ask_once, endpoint))
                    reply = await self._reply(endpoint, method, path, body(endpoint))
                except VerifierError as error:
                    if endpoint.known:
                        raise
                    said = str(error)
                except httpx.TransportError as error:
                    said = f"{type(error).__name__}: {error}"
                except TimeoutError:
                    said = f"no whole answer within {self._settings.timeout_seconds:g} s (served.timeout_seconds)"
                else:
                    if httpx.codes.is_success(reply.status):
                        turn.answered()
                        return reply.content, endpoint
                    said = f"HTTP {reply.status}: {reply.excerpt}"
                    final = reply.status not in _TRY_AGAIN
                    wanted_pause = _retry_after(reply.headers)
                    if reply.status in _REQUEST_IS_WRONG:
                        raise VerifierError(self._failure(endpoint, path, said, number))
                turn.failed(said, wanted_pause)
            others = any(one not in failed for one in among)
            if number == tries or (final and not others):
                raise VerifierError(self._failure(endpoint, path, said, number))
            if not (others and any(one.answers for one in among)):
                await asyncio.sleep(max(wanted_pause, backoff.next_wait()))
                failed.clear()
        raise AssertionError("unreachable: the last try returns or raises")

    async def ask_beside(self, endpoint: Endpoint, method: str, url: str, body: dict[str, Any] | None) -> bytes:
        """Return this server's answer at a complete URL, asked once.

        Raises:
            TimeoutError: it did not end in time.
            VerifierError: it is too large.
            httpx.TransportError: there is none.
        """
        return (await self._reply(endpoint, method, url, body)).content

    async def _ask_once(self, endpoint: Endpoint, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        reply = await self._reply(endpoint, method, path, body)
        if not httpx.codes.is_success(reply.status):
            raise VerifierError(self._failure(endpoint, path, f"HTTP {reply.status}: {reply.excerpt}", 1))
        return reply.content

    async def _reply(self, endpoint: Endpoint, method: str, path: str, body: dict[str, Any] | None) -> Reply:
        """Return the server's whole answer, good or bad, within the limits of time and size.

        Raises:
            TimeoutError: it did not end in time; a server may send a byte a second.
            VerifierError: it is too large, or compressed, which hides how large it is.
            httpx.TransportError: there is none.
        """
        limit = round(self._settings.answer_limit_mb * 1e6)
        content = bytearray()
        async with (
            asyncio.timeout(self._settings.timeout_seconds),
            endpoint.client.stream(method, path, json=body) as reply,
        ):
            if reply.headers.get("Content-Encoding", "identity") != "identity":
                raise VerifierError(
                    f"model server {endpoint.address}: its answer is compressed, which was not asked for"
                )
            async for part in reply.aiter_raw():
                content += part
                if len(content) > limit:
                    raise VerifierError(
                        f"model server {endpoint.address}: its answer is larger than "
                        f"{self._settings.answer_limit_mb:g} MB (served.answer_limit_mb)"
                    )
        return Reply(reply.status_code, reply.headers, bytes(content))

    def _failure(self, endpoint: Endpoint, path: str, said: str, tries: int) -> str:
        hint = ""
        if said.startswith(("HTTP 401", "HTTP 403")):
            hint = f"; put the server's key into the variable {self._settings.key_variable}"
        elif said.startswith(("HTTP 400", "HTTP 422")):
            hint = "; if it names a field it does not know, change served.extra_json"
        elif said.startswith("HTTP 404"):
            hint = "; check --model, and that --endpoint ends as the server says (most: /v1)"
        elif said.startswith("Connect"):
            hint = "; is the server running there?"
        return redact(f"model server {endpoint.address}/{path} failed {tries} times: {said}{hint}")

    def least_loaded(self, among: Sequence[Endpoint], failed: set[Endpoint]) -> Endpoint | None:
        """Return the server of `among` to ask next; None while all available ones are busy.

        Servers that `failed` this request are asked again only if the others are away.
        """
        answering = [one for one in among if one.answers]
        fresh = [one for one in answering if one not in failed]
        free = [one for one in fresh or answering or among if one.running < self._settings.concurrency]
        if answering and len(among) > 1:
            free = [one for one in free if not (one.on_trial and one.running)]
        return min(free, key=lambda one: (one.running, one.asked), default=None)

    def leave_out(self, endpoint: Endpoint, said: str, wanted_pause: float = 0.0) -> None:
        """Leave a server out for a time, longer each time."""
        if not endpoint.on_trial and len(self.all) > 1:
            _log.warning("model server %s is left out until it answers again: %s", endpoint.address, redact(said))
        endpoint.away_until = time.monotonic() + max(wanted_pause, endpoint.backoff.next_wait())


class _Turn:
    """One request's place at the least loaded of some servers, kept until its answer.

    Attributes:
        endpoint: the server.
    """

    endpoint: Endpoint

    def __init__(self, servers: ModelServers, among: Sequence[Endpoint], failed: set[Endpoint]) -> None:
        self._servers = servers
        self._among = among
        self._failed = failed
        self._was_away = 0.0

    async def __aenter__(self) -> Self:
        async with self._servers.changed:
            while (found := self._servers.least_loaded(self._among, self._failed)) is None:
                await self._servers.changed.wait()
            found.running += 1
            found.asked += 1
        self.endpoint, self._was_away = found, found.away_until
        return self

    async def __aexit__(self, *_: object) -> None:
        self.endpoint.running -= 1
        async with self._servers.changed:
            self._servers.changed.notify_all()

    def answered(self) -> None:
        """Note that the server answered."""
        if self.endpoint.on_trial and len(self._servers.all) > 1:
            _log.info("model server %s answers again", self.endpoint.address)
        self.endpoint.away_until = 0.0
        self.endpoint.backoff.reset()

    def failed(self, said: str, wanted_pause: float) -> None:
        """Leave the server out; requests sent together count as one failure."""
        self._failed.add(self.endpoint)
        if self.endpoint.away_until <= self._was_away:
            self._servers.leave_out(self.endpoint, said, wanted_pause)


def model_key(variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the key in the environment variable `variable`, stripped; empty if there is none.

    Raises:
        VerifierError: the key cannot be sent; the message never contains it.
    """
    key = environment.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise VerifierError(
            f"the key in the variable {variable} holds a sign that no key has (a line end or a letter beyond ASCII); "
            "set it again"
        )
    return key


def _client(url: str, served: ServedSettings, key: str) -> httpx.AsyncClient:
    try:
        _ = urlsplit(url).port  # refuses a port above 65535, on which the client would fail later
        return httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(served.timeout_seconds, connect=_CONNECT_SECONDS),
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            limits=httpx.Limits(max_connections=served.concurrency),
        )
    except (ValueError, httpx.InvalidURL) as error:
        raise VerifierError(
            f"verifier served: endpoint {redact(url)!r} cannot be read: {redact(error)}; "
            "expected something like http://127.0.0.1:8000/v1"
        ) from error


def _retry_after(headers: httpx.Headers) -> float:
    """Return the pause in seconds that the server asks for, limited to the longest."""
    asked = headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE_SECONDS) if asked.isdigit() else 0.0
