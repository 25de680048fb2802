"""A small model server that speaks the OpenAI chat protocol over real HTTP: what it says is canned, how is real."""

import base64
import json
import math
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import cv2
import numpy as np


@dataclass
class ModelServer:
    """Serves on a free port of the loopback while in its block.

    probability: of "Yes", or None to answer by how bright the images are. logprobs: whether it gives them.
    failures: statuses of the next replies before the good ones (0: hang up without one). key: refused without.
    hold: until set, replies wait. seconds: each reply takes so long. token_ids: what /tokenize knows, none for a server
    without it; of these the answer's words are chosen if a request asks for them, as vLLM does. model: what it serves.
    port: where, 0 for a free one.
    """

    probability: float | None = 0.9
    logprobs: bool = True
    failures: list[int] = field(default_factory=list)
    retry_after: str | None = None
    key: str | None = None
    hold: threading.Event | None = None
    seconds: float = 0.0
    words: dict[str, float] | None = None
    token_ids: dict[str, int] = field(default_factory=dict)
    model: str = "tiny/model"
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    busiest: int = 0
    _running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._http = _QuietServer(("127.0.0.1", self.port), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="model-server")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The completion for a request, as vLLM would word it."""
        first = {"token": "Yes", "logprob": math.log(0.5), "bytes": None, "top_logprobs": self._top(body)}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Yes"},
                    "logprobs": {"content": [first]} if self.logprobs else None,
                    "finish_reason": "length",
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    def _top(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        yes = self.probability
        if yes is None:
            yes = float(np.clip(max(float(image.mean()) for image in images_in(body)) / 255, 0.02, 0.98))
        words = self.words or {"Yes": yes * 0.9, "No": (1 - yes) * 0.9, "The": 0.06, " yes": 0.02, "It": 0.01}
        wanted = body.get("logprob_token_ids")
        if wanted is not None and self.token_ids:
            names = {number: name for name, number in self.token_ids.items()}
            words = {names[number]: words.get(names[number], 1e-9) for number in wanted}
        else:
            words = dict(sorted(words.items(), key=lambda one: -one[1])[: body["top_logprobs"]])
        return [{"token": token, "logprob": math.log(chance)} for token, chance in words.items() if chance > 0]


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hung up is what some tests are about."""


def images_in(body: dict[str, Any]) -> Iterator[np.ndarray]:
    """The images of a request, decoded (RGB)."""
    for part in body["messages"][0]["content"]:
        if part["type"] == "image_url":
            code = base64.b64decode(part["image_url"]["url"].partition("base64,")[2])
            yield cv2.cvtColor(cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            version = {"version": "0.20.0"} if server.token_ids else {}
            models = {"object": "list", "data": [{"id": server.model, "object": "model"}]}
            self._say(200, version if self.path == "/version" else models)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/tokenize":  # beside /v1, as vLLM has it
                self._say(200, {"tokens": [server.token_ids[body["prompt"]]]})
                return
            with server._lock:
                server.requests.append(body)
                server._running += 1
                server.busiest = max(server.busiest, server._running)
                failure = server.failures.pop(0) if server.failures else None
            try:
                if server.hold is not None:
                    server.hold.wait(30)
                threading.Event().wait(server.seconds)
                self._reply(body, failure)
            finally:
                with server._lock:
                    server._running -= 1

        def _reply(self, body: dict[str, Any], failure: int | None) -> None:
            if failure == 0:
                self.close_connection = True
            elif failure is not None:
                self._say(failure, {"error": {"message": "not now", "code": failure}})
            elif server.key is not None and self.headers.get("Authorization") != f"Bearer {server.key}":
                self._say(401, {"error": {"message": "invalid api key"}})
            else:
                self._say(200, server.answer(body))

        def _say(self, status: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if status != 200 and server.retry_after is not None:
                self.send_header("Retry-After", server.retry_after)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


if __name__ == "__main__":
    with ModelServer(probability=None, port=int((sys.argv[1:] or ["0"])[0])) as running:
        print(running.endpoint, flush=True)  # noqa: T201 - whoever started it reads where it is
        threading.Event().wait()
