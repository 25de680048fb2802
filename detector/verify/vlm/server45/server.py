"""The model's HTTP server on one address: chat completions, the list of models, and health."""

import asyncio
import hmac
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import torch
import transformers
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from detector.errors import VerifierError
from detector.verify.vlm.server45.chat import answer, parse
from detector.verify.vlm.server45.model import Model
from detector.verify.vlm.server45.request_batcher import RequestBatcher, Unanswered
from detector.verify.vlm.server45.serve_config import ServeConfig

_HEAD_SECONDS = 15.0
_HEAD_BYTES = 16_384
_BODY_SECONDS = 30.0
_IDLE_SECONDS = 6  # of a kept connection; httpx keeps its own for 5
_END_SECONDS = 5
_COMPLAIN_SECONDS = 60.0
_SPARE_PLACES = 8  # so that a question too many is told how many are waiting
_SPARE_CONNECTIONS = 128  # for health checks, and for clients that are slow or say nothing


class _Connection(H11Protocol):
    """uvicorn's own waits for ever for the head of a request and the rest of a refused one, on any number at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request; hang up if there are too many connections."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            transport.abort()
        self._await_request()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._await_request()

    def _await_request(self) -> None:
        self.loop.call_later(_HEAD_SECONDS, self._abort_after, self.cycle)

    def _abort_after(self, cycle: object) -> None:
        if self.cycle is cycle:
            self.transport.abort()


class ModelServer:
    """Answer questions to `model` through `batcher` from a thread, inside a `with` block.

    At its end, the questions that `batcher` still holds are waited for: close that first.

    Attributes:
        url: the endpoint for clients.

    Raises:
        VerifierError: the address cannot be used.
    """

    def __init__(self, config: ServeConfig, model: Model, batcher: RequestBatcher) -> None:
        self._config, self._model, self._batcher = config, model, batcher
        self._complained = -_COMPLAIN_SECONDS
        self._about = {
            "model": config.model,
            "revision": config.revision,
            "device_name": model.device_name,
            "precision": model.precision,
            "attention": config.attention,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        places = config.waiting_limit + config.batch_size + _SPARE_PLACES
        self._places = asyncio.Semaphore(places)
        self._threads = ThreadPoolExecutor(places, "minicpm45-question")
        family, host = (socket.AF_INET6, f"[{config.host}]") if ":" in config.host else (socket.AF_INET, config.host)
        try:
            self._socket = socket.create_server((config.host, config.port), family=family)
        except OSError as error:
            raise VerifierError(
                f"{config.host}:{config.port}: cannot listen there: {error.strerror}; "
                "name another with --host and --port"
            ) from error
        self.url = f"http://{host}:{self._socket.getsockname()[1]}/v1"
        app = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ],
            exception_handlers=dict.fromkeys((Unanswered, HTTPException, Exception), self._refuse),
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",  # what goes wrong is printed here, in one line
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=places + _SPARE_CONNECTIONS,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_END_SECONDS,
                h11_max_incomplete_event_size=_HEAD_BYTES,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="minicpm45-http")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._threads.shutdown()

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    async def _health(self, _request: Request) -> JSONResponse:
        batcher = self._batcher
        counts = {"waiting": batcher.waiting, "answered": batcher.answered, "batches": batcher.batches}
        return JSONResponse({"status": "ok", **self._about, **counts})

    async def _models(self, request: Request) -> JSONResponse:
        self._check_key(request)
        about = {"id": self._config.model, "object": "model", "owned_by": "openbmb", "revision": self._config.revision}
        return JSONResponse({"object": "list", "data": [about]})

    async def _chat(self, request: Request) -> JSONResponse:
        self._check_key(request)
        if self._places.locked():
            raise Unanswered("too many connections; ask again later", 503)
        async with self._places:
            body = await self._body(request)
            source = request.client.host if request.client else ""
            loop = asyncio.get_running_loop()
            return JSONResponse(await loop.run_in_executor(self._threads, self._answer, body, source))

    def _answer(self, body: bytes, source: str) -> dict[str, Any]:
        question, clip = parse(body, self._config)
        logprobs = self._batcher.ask(clip, self._config.answer_limit_seconds, source)
        return answer(question, self._config, self._model, logprobs)

    def _check_key(self, request: Request) -> None:
        given, key = request.headers.get("Authorization", ""), self._config.key
        if key and not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
            raise Unanswered("the key is missing or wrong; send it as 'Authorization: Bearer KEY'", 401)

    async def _body(self, request: Request) -> bytes:
        length = request.headers.get("Content-Length")
        if length is None:
            raise Unanswered("the request must tell its Content-Length", 411)
        limit = self._config.request_limit_mb
        if int(length) > limit * 1e6:
            raise Unanswered(f"the request has {int(length) / 1e6:.1f} MB; at most {limit:g} MB are taken", 413)
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return await request.body()
        except (TimeoutError, ClientDisconnect):
            raise Unanswered(f"its {length} bytes did not come within {_BODY_SECONDS:.0f} s", 408) from None

    async def _refuse(self, request: Request, error: Exception) -> JSONResponse:
        """Return the answer to a request that failed, and print on stderr once a minute that answering failed."""
        message, status = str(error), getattr(error, "status", 500)
        if isinstance(error, HTTPException):
            message, status = f"{request.method} {request.url.path[:100]}: {error.detail}", error.status_code
            message += "; questions are POSTed to /v1/chat/completions"
        elif not isinstance(error, Unanswered):
            message = f"{type(error).__name__}: {error}"
        now = time.monotonic()
        if status in {500, 507} and now - self._complained > _COMPLAIN_SECONDS:
            self._complained = now
            print(f"serve-45: {message}", file=sys.stderr, flush=True)  # noqa: T201 - a command of its own
        kind = "invalid_request_error" if status < 500 else "server_error"
        return JSONResponse(
            {"error": {"message": message, "type": kind, "code": status}},
            status,
            {"Retry-After": "1"} if status == 503 else None,
        )
