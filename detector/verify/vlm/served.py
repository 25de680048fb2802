"""The verifier `served`: the same images and question to a model server that speaks the OpenAI chat protocol."""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np

from detector.candidate import Candidate
from detector.errors import SettingsError, VerifierError
from detector.events import Verdict
from detector.settings import ServedSettings, Settings
from detector.verify.vlm.openai_chat import (
    ANSWERS,
    ServedModel,
    first_model_in,
    has_version,
    request_body,
    score_in,
    tokens_in,
)
from detector.verify.vlm.question import ModelIdentity, Question, Score, VlmInput
from stream import Backoff, redact

_CONNECT_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 20.0
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class _Reply:
    """A server's answer to one request."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def excerpt(self) -> str:
        """The beginning of its text, in one line of printable signs."""
        text = " ".join(self.content[:800].decode("utf-8", "replace").split())[:200]
        return "".join(sign if sign.isprintable() else "?" for sign in text)


class ServedVerifier:
    """Judges by asking a model server, several candidates at a time.

    Raises:
        VerifierError: there is no endpoint, or its address or key cannot be used.
        SettingsError: the prompt or `served.extra_json` cannot be used.
    """

    name = "served"

    def __init__(self, settings: Settings) -> None:
        served = settings.served
        if not served.endpoint.startswith(("http://", "https://")):
            raise VerifierError(
                f"verifier served: endpoint {redact(served.endpoint)!r} is not the base URL of a model server; "
                "give one with --endpoint, e.g. --endpoint http://127.0.0.1:8000/v1"
            )
        self._settings = served
        self._endpoint = redact(served.endpoint)
        self._question = Question(settings.question, settings.batcher.picture_side_pixels)
        self._extra = _extra(served)
        self._identity = ModelIdentity(self.name, served.model, None, "served")
        self._answer_ids: list[int] = []  # token ids of Yes and No, where the server can be asked for these
        self._client = _client(served)
        self._free = asyncio.Semaphore(served.concurrency)
        self._runner = asyncio.Runner()
        self._lock = threading.Lock()  # guards what follows
        self._asking: asyncio.Task[None] | None = None
        self._closing = threading.Event()
        self._closed = False

    @property
    def calibration_key(self) -> str:
        """Return what a calibration of this model holds for; known once `check` has found the model."""
        return self._question.calibration_key(self._identity)

    def check(self, why: str = "asked for") -> str:
        """Find the model if none is set, ask about a grey image, and return a line that says who answers, and `why`.

        Raises:
            VerifierError: the server is not there, refuses, or gives no probabilities.
        """

        async def ask() -> None:
            if not self._settings.model:
                first = await self._first_model()
                self._identity = replace(self._identity, model=first.id, revision=first.revision)
            grey = VlmInput([np.full((64, 64, 3), 128, np.uint8)], self._question.prompt.text(["peak"]))
            self._answer_ids = await self._ids_of_answers()
            try:
                await self._score(grey)
            except VerifierError:
                if not self._answer_ids:
                    raise
                self._answer_ids = []  # a server that offers /tokenize and refuses logprob_token_ids
                await self._score(grey)

        if not self._run(ask()):
            raise VerifierError(f"{self._endpoint}: stopped before the server answered")
        model = self._identity.model
        note = self._question.calibration_note(self._identity)
        return f"served, {model} at {self._endpoint} ({why}), prompt {self._question.prompt.label}, {note}"

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return a verdict for each, in order; a request that fails for good gives one without an answer."""
        stopped = self._question.unanswered(self._identity, "stopped before the model server answered")
        verdicts = [stopped] * len(candidates)

        async def ask(place: int) -> None:
            async with self._free:
                verdicts[place] = await self._verify_one(candidates[place])

        async def ask_all() -> None:
            async with asyncio.TaskGroup() as group:
                for place in range(len(candidates)):
                    group.create_task(ask(place))

        self._run(ask_all())
        return verdicts

    def scores(self, questions: Sequence[VlmInput]) -> list[Score]:
        """Return the server's score of each question, in order, asked as many at a time as the settings allow.

        Raises:
            VerifierError: one cannot be had.
        """
        found: list[Score] = []

        async def ask(shown: VlmInput) -> Score:
            async with self._free:
                return await self._score(shown)

        async def ask_all() -> None:
            found.extend(await asyncio.gather(*map(ask, questions)))

        if not self._run(ask_all()):
            raise VerifierError(f"{self._endpoint}: stopped before the server answered")
        return found

    def close(self) -> None:
        """Hang up: requests under way end at once, without an answer."""
        with self._lock:
            self._closing.set()
            if self._asking is not None:  # in another thread, which then cleans up
                self._runner.get_loop().call_soon_threadsafe(self._asking.cancel)
                return
        self._clean_up()

    def _run(self, asking: Coroutine[Any, Any, None]) -> bool:
        """Run `asking` to its end in this thread, with what it raises; False when `close` ended it before."""
        with self._lock:
            if self._closing.is_set():
                asking.close()
                return False
            self._asking = self._runner.get_loop().create_task(asking)
        try:
            self._runner.get_loop().run_until_complete(self._asking)
        except asyncio.CancelledError:
            return False
        finally:
            with self._lock:
                self._asking = None
            if self._closing.is_set():
                self._clean_up()
        return True

    def _clean_up(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._runner.run(self._client.aclose())
        self._runner.close()

    async def _verify_one(self, candidate: Candidate) -> Verdict:
        began = time.monotonic()
        try:
            score = await self._score(self._question.show(candidate))
        except VerifierError as error:
            return self._question.unanswered(self._identity, redact(error))
        return self._question.verdict(self._identity, score.log_odds, score.answer_mass, time.monotonic() - began)

    async def _score(self, shown: VlmInput) -> Score:
        body = request_body(self._identity.model, shown, self._answer_ids) | self._extra
        return score_in(await self._request("POST", "chat/completions", body), self._endpoint)

    async def _first_model(self) -> ServedModel:
        return first_model_in(await self._request("GET", "models", None), self._endpoint)

    async def _ids_of_answers(self) -> list[int]:
        """Return the token ids of Yes and No; none where the server does not tell them, as vLLM does beside /v1."""
        root = str(self._client.base_url).rstrip("/").removesuffix("/v1")
        found: list[list[int]] = []
        try:
            if not has_version((await self._reply("GET", f"{root}/version", None)).content):
                return []
            for answer in ANSWERS:
                body = {"model": self._identity.model, "prompt": answer, "add_special_tokens": False}
                found.append(tokens_in((await self._reply("POST", f"{root}/tokenize", body)).content))
        except (httpx.TransportError, VerifierError, TimeoutError):
            return []
        return [tokens[0] for tokens in found] if all(len(tokens) == 1 for tokens in found) else []

    async def _reply(self, method: str, path: str, body: dict[str, Any] | None) -> "_Reply":
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
            self._client.stream(method, path, json=body) as reply,
        ):
            if reply.headers.get("Content-Encoding", "identity") != "identity":
                raise VerifierError(f"model server {self._endpoint}: its answer is compressed, which was not asked for")
            async for part in reply.aiter_raw():
                content += part
                if len(content) > limit:
                    raise VerifierError(
                        f"model server {self._endpoint}: its answer is larger than {self._settings.answer_limit_mb:g} "
                        "MB (served.answer_limit_mb)"
                    )
        return _Reply(reply.status_code, reply.headers, bytes(content))

    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        """Return the server's good answer; tried again with growing, random pauses where that can help.

        Raises:
            VerifierError: it cannot be had.
        """
        tries = self._settings.retries + 1
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        for number in range(1, tries + 1):
            wanted_pause = 0.0
            try:
                reply = await self._reply(method, path, body)
            except httpx.TransportError as error:
                said = f"{type(error).__name__}: {error}"
            except TimeoutError:
                said = f"no whole answer within {self._settings.timeout_seconds:g} s (served.timeout_seconds)"
            else:
                if httpx.codes.is_success(reply.status):
                    return reply.content
                said = f"HTTP {reply.status}: {reply.excerpt}"
                if reply.status not in _TRY_AGAIN:
                    raise VerifierError(self._failure(path, said, number))
                wanted_pause = _retry_after(reply.headers)
            if number == tries:
                raise VerifierError(self._failure(path, said, number))
            await asyncio.sleep(max(wanted_pause, backoff.next_wait()))
        raise AssertionError("unreachable: the last try returns or raises")

    def _failure(self, path: str, said: str, tries: int) -> str:
        hint = ""
        if said.startswith(("HTTP 401", "HTTP 403")):
            hint = f"; put the server's key into the variable {self._settings.key_variable}"
        elif said.startswith(("HTTP 400", "HTTP 422")):
            hint = "; if it names a field it does not know, change served.extra_json"
        elif said.startswith("HTTP 404"):
            hint = "; check --model, and that --endpoint ends as the server says (most: /v1)"
        elif said.startswith("Connect"):
            hint = "; is the server running there?"
        return redact(f"model server {self._endpoint}/{path} failed {tries} times: {said}{hint}")


def model_key(variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the key in the environment variable `variable`, stripped; empty if there is none.

    Raises:
        VerifierError: it cannot be sent; the message never holds it.
    """
    key = environment.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise VerifierError(
            f"the key in the variable {variable} holds a sign that no key has (a line end or a letter beyond ASCII); "
            "set it again"
        )
    return key


def _client(served: ServedSettings) -> httpx.AsyncClient:
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines for each request carry the whole address
    key = model_key(served.key_variable)
    try:
        _ = urlsplit(served.endpoint).port  # refuses a port above 65535, which the client would choke on while it asks
        return httpx.AsyncClient(
            base_url=served.endpoint,
            timeout=httpx.Timeout(served.timeout_seconds, connect=_CONNECT_SECONDS),
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            limits=httpx.Limits(max_connections=served.concurrency),
        )
    except (ValueError, httpx.InvalidURL) as error:
        raise VerifierError(
            f"verifier served: endpoint {redact(served.endpoint)!r} cannot be read: {redact(error)}; "
            "expected something like http://127.0.0.1:8000/v1"
        ) from error


def _extra(served: ServedSettings) -> dict[str, Any]:
    try:
        extra = json.loads(served.extra_json or "{}")
    except ValueError as error:
        raise SettingsError(f"served.extra_json = {served.extra_json!r}: not JSON: {error}") from error
    if not isinstance(extra, dict):
        raise SettingsError(f"served.extra_json = {served.extra_json!r}: a JSON object is needed, e.g. {{}}")
    return extra


def _retry_after(headers: httpx.Headers) -> float:
    """Return the pause that the server asks for, in seconds, at most the longest."""
    asked = headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE_SECONDS) if asked.isdigit() else 0.0
