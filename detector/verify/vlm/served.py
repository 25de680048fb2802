"""The verifier `served`: the same images and question to a model server that speaks the OpenAI chat protocol."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import httpx
import numpy as np

from detector.candidate import Candidate
from detector.errors import SettingsError, VerifierError
from detector.events import Verdict
from detector.settings import ServedSettings, Settings
from detector.verify.vlm.model_servers import Ask, Endpoint, ModelServers
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
from detector.verify.vlm.sheet import sheet_of
from stream import redact

T = TypeVar("T")

_CHAT = "chat/completions"


class ServedVerifier:
    """Judges by asking a model server, several candidates at a time.

    Raises:
        VerifierError: there is no endpoint, or its address or key cannot be used.
        SettingsError: the prompt or `served.extra_json` cannot be used.
    """

    name = "served"

    def __init__(self, settings: Settings) -> None:
        self._settings = served = settings.served
        self._servers = ModelServers(served)
        self._side_pixels = settings.batcher.picture_side_pixels
        self._question = Question(settings.question, self._side_pixels)
        self._extra = _extra(served)
        self._identity = ModelIdentity(self.name, served.model, None, "served")
        self._free = asyncio.Semaphore(served.concurrency * len(self._servers.all))
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
        """Find the model if none is set, and ask each server about a grey image.

        Args:
            why: the reason to use a server, for the line.

        Returns:
            a line that says which model answers, and `why`.

        Raises:
            VerifierError: no server answers, or all refuse or give no probabilities.
        """
        if not self._run(self._check()):
            raise VerifierError(f"{self._servers.text}: stopped before the server answered")
        model = self._identity.model
        note = self._question.calibration_note(self._identity)
        return f"served, {model} at {self._servers.text} ({why}), prompt {self._question.prompt.label}, {note}"

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
            raise VerifierError(f"{self._servers.text}: stopped before the server answered")
        return found

    def sheet(self, candidate: Candidate) -> bytes:
        """Return a JPEG of what the model is shown of a candidate."""
        return sheet_of(self._question, candidate, self._side_pixels)

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
        self._runner.run(self._servers.close())
        self._runner.close()

    async def _verify_one(self, candidate: Candidate) -> Verdict:
        began = time.monotonic()
        try:
            score = await self._score(self._question.show(candidate))
        except VerifierError as error:
            return self._question.unanswered(self._identity, redact(error))
        return self._question.verdict(self._identity, score.log_odds, score.answer_mass, time.monotonic() - began)

    async def _check(self) -> None:
        """Introduce all servers; those that fail are left out, unless that leaves none."""
        failures: list[BaseException] = []
        if not self._settings.model:
            listed = await self._each(self._servers.all, self._first_model, failures)
            if not listed:
                raise failures[0]
            self._identity = replace(self._identity, model=listed[0].id, revision=listed[0].revision)
        there = [endpoint for endpoint in self._servers.all if not endpoint.on_trial]
        if not await self._each(there, self._introduce, failures):
            raise failures[0]

    async def _each(
        self,
        endpoints: Sequence[Endpoint],
        ask: Callable[[Endpoint, Ask], Coroutine[Any, Any, T]],
        failures: list[BaseException],
    ) -> list[T]:
        """Return what came of `ask` where it did not fail; the failures go into `failures`."""
        asked = [ask(endpoint, partial(self._servers.request_one, endpoint)) for endpoint in endpoints]
        found: list[T] = []
        for endpoint, came in zip(endpoints, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if not isinstance(came, BaseException):
                found.append(came)
            elif isinstance(came, VerifierError):
                failures.append(came)
                self._servers.leave_out(endpoint, str(came))
            else:
                raise came
        return found

    async def _introduce(self, endpoint: Endpoint, ask: Ask) -> bool:
        """Check that a server has the model and gives probabilities, and find out how to ask it best.

        Returns:
            True.

        Raises:
            VerifierError: it does not.
        """
        if not self._settings.model and (model := (await self._first_model(endpoint, ask)).id) != self._identity.model:
            raise VerifierError(f"{endpoint.address}: serves {model}, another server {self._identity.model}")
        grey = VlmInput([np.full((64, 64, 3), 128, np.uint8)], self._question.prompt.text(["peak"]))
        endpoint.answer_ids = await self._ids_of_answers(endpoint)
        try:
            score_in(await ask("POST", _CHAT, self._body(grey, endpoint)), endpoint.address)
        except VerifierError:
            if not endpoint.answer_ids:
                raise
            endpoint.answer_ids = ()  # a server that offers /tokenize and refuses logprob_token_ids
            score_in(await ask("POST", _CHAT, self._body(grey, endpoint)), endpoint.address)
        endpoint.known = True
        return True

    async def _score(self, shown: VlmInput) -> Score:
        reply, endpoint = await self._servers.request("POST", _CHAT, partial(self._body, shown), self._introduce)
        return score_in(reply, endpoint.address)

    def _body(self, shown: VlmInput, endpoint: Endpoint) -> dict[str, Any]:
        return request_body(self._identity.model, shown, endpoint.answer_ids) | self._extra

    async def _first_model(self, endpoint: Endpoint, ask: Ask) -> ServedModel:
        return first_model_in(await ask("GET", "models", None), endpoint.address)

    async def _ids_of_answers(self, endpoint: Endpoint) -> list[int]:
        """Return the token ids of Yes and No; none where the server does not tell them, as vLLM does beside /v1."""
        root = str(endpoint.client.base_url).rstrip("/").removesuffix("/v1")
        beside = partial(self._servers.ask_beside, endpoint)
        found: list[list[int]] = []
        try:
            if not has_version(await beside("GET", f"{root}/version", None)):
                return []
            for answer in ANSWERS:
                body = {"model": self._identity.model, "prompt": answer, "add_special_tokens": False}
                found.append(tokens_in(await beside("POST", f"{root}/tokenize", body)))
        except (httpx.TransportError, VerifierError, TimeoutError):
            return []
        return [tokens[0] for tokens in found] if all(len(tokens) == 1 for tokens in found) else []


def _extra(served: ServedSettings) -> dict[str, Any]:
    try:
        extra = json.loads(served.extra_json or "{}")
    except ValueError as error:
        raise SettingsError(f"served.extra_json = {served.extra_json!r}: not JSON: {error}") from error
    if not isinstance(extra, dict):
        raise SettingsError(f"served.extra_json = {served.extra_json!r}: a JSON object is needed, e.g. {{}}")
    return extra
