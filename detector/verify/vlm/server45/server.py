"""The model's HTTP server on one address: chat completions, the list of models, and health."""

import hmac
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

import torch
import transformers
from torch import Tensor

from detector.verify.vlm.server45.chat import BadRequest, answer, parse
from detector.verify.vlm.server45.model import Model
from detector.verify.vlm.server45.request_batcher import RequestBatcher, Unanswered
from detector.verify.vlm.server45.serve_config import CannotServe, ServeConfig

_BODY_SECONDS = 30.0
_DRAIN_SECONDS = 2.0
_COMPLAIN_SECONDS = 60.0
_SPARE_CONNECTIONS = 8  # for health checks and errors while all places are taken
_CHUNK_BYTES = 1 << 16


class ModelServer(ThreadingHTTPServer):
    """Answer questions to `model` through `batcher`, over as many connections at once as it accepts questions.

    Raises:
        CannotServe: the address cannot be used.
    """

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128  # so that connections of a burst of cameras are not delayed by retries

    def __init__(self, config: ServeConfig, model: Model, batcher: RequestBatcher) -> None:
        self.config, self.model, self.batcher = config, model, batcher
        self._complained = -_COMPLAIN_SECONDS
        self.about = {
            "model": config.model,
            "revision": config.revision,
            "device_name": model.device_name,
            "precision": model.precision,
            "attention": config.attention,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        self._places = threading.BoundedSemaphore(config.waiting_limit + config.batch_size + _SPARE_CONNECTIONS)
        if ":" in config.host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((config.host, config.port), _Handler)
        except OSError as error:
            raise CannotServe(
                f"{config.host}:{config.port}: cannot listen there: {error.strerror}; "
                "name another with --host and --port"
            ) from error

    def server_bind(self) -> None:
        """Bind without a DNS query for the name of this machine, unlike the base class."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.config.host, self.server_address[1]

    @property
    def url(self) -> str:
        """The endpoint for clients."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self.server_address[1]}/v1"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Pass the connection to a thread, or close it at once if all places are taken."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        body = json.dumps(_error("too many connections; ask again later", 503)).encode()
        head = f"HTTP/1.1 503 Busy\r\nContent-Length: {len(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        try:
            request.settimeout(1.0)
            request.sendall(head.encode() + body)
        except OSError:
            pass  # the client has left
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection, then release its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def complain(self, message: str) -> None:
        """Print on stderr that answering failed, once a minute at most."""
        now = time.monotonic()
        if now - self._complained > _COMPLAIN_SECONDS:
            self._complained = now
            print(f"serve-45: {message}", file=sys.stderr, flush=True)  # noqa: T201 - a command of its own

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class hands it over
        """Ignore clients that left early, and report other errors in one line."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.complain(f"{client_address[0]}: {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    server: ModelServer
    protocol_version = "HTTP/1.1"  # for clients that expect 100-continue before a large body
    timeout = 15.0  # seconds of silence
    server_version = "lightning-detector"
    _body_read = False
    sys_version = ""

    def do_GET(self) -> None:
        """Answer requests for health and the list of models."""
        config, batcher = self.server.config, self.server.batcher
        if self.path == "/health":
            counts = {"waiting": batcher.waiting, "answered": batcher.answered, "batches": batcher.batches}
            self._send(200, {"status": "ok", **self.server.about, **counts})
            return
        try:
            self._check("/v1/models")
            model = {"id": config.model, "object": "model", "owned_by": "openbmb", "revision": config.revision}
            self._send(200, {"object": "list", "data": [model]})
        except BadRequest as error:
            self._send(error.status, _error(str(error), error.status))

    def do_POST(self) -> None:
        """Answer a chat completion."""
        try:
            self._check("/v1/chat/completions")
            request, clip = parse(self._body(), self.server.config)
            logprobs: Tensor = self.server.batcher.ask(clip, self.server.config.answer_seconds, self.client_address[0])
            self._send(200, answer(request, self.server.config, self.server.model, logprobs))
        except (BadRequest, Unanswered) as error:
            self._send(error.status, _error(str(error), error.status))
            if error.status in {500, 507}:
                self.server.complain(str(error))
            if not self._body_read:
                self._drain()

    def log_message(self, *_words: Any) -> None:
        """Log nothing for requests, so that errors stay visible."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send errors of http.server itself in the same form as all others."""
        self._send(code, _error(explain or message or "not understood", code))

    def _check(self, path: str) -> None:
        """Raise if the key is wrong or the request is not for `path`."""
        key = self.server.config.key
        given = self.headers.get("Authorization", "")
        if key and not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
            raise BadRequest("the key is missing or wrong; send it as 'Authorization: Bearer KEY'", 401)
        if self.path != path:
            raise BadRequest(
                f"{self.command} {self.path[:100]}: not here; questions are POSTed to /v1/chat/completions", 404
            )

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise BadRequest("the request must tell its Content-Length", 411)
        limit = self.server.config.request_limit_mb
        if int(length) > limit * 1e6:
            raise BadRequest(f"the request has {int(length) / 1e6:.1f} MB; at most {limit:g} MB are taken", 413)
        ends = time.monotonic() + _BODY_SECONDS
        body = bytearray()
        while len(body) < int(length):
            if time.monotonic() > ends:
                raise BadRequest(f"only {len(body)} of {length} bytes came within {_BODY_SECONDS:.0f} s", 408)
            part = self.rfile.read1(min(_CHUNK_BYTES, int(length) - len(body)))
            if not part:
                raise ConnectionResetError("the client left before its request was whole")
            body += part
        self._body_read = True
        return bytes(body)

    def _drain(self) -> None:
        """Discard data that a client is still sending: closing at once would reset it before it has our answer."""
        ends = time.monotonic() + _DRAIN_SECONDS
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_DRAIN_SECONDS)
            while time.monotonic() < ends and self.rfile.read1(_CHUNK_BYTES):
                pass
        except OSError:
            pass  # the client has left

    def _send(self, status: int, table: dict[str, Any]) -> None:
        body = json.dumps(table).encode()
        self.close_connection = True  # one request per connection: no idle connections to wait for at the end
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)


def _error(message: str, status: int) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "code": status}}
