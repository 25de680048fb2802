"""A web server that takes posts, may refuse them, and remembers all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


@dataclass(frozen=True)
class Post:
    """One post.

    Attributes:
        path: where it went, with its query.
        headers: in lower case.
        body: as it came.
        code: what it was answered.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    code: int

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class HookServer:
    """A running server.

    Attributes:
        port: where it listens.
        code: what it answers; may be changed while it runs.
        posts: all that came.
    """

    port: int
    code: int = 204
    posts: list[Post] = field(default_factory=list)

    @property
    def taken(self) -> list[Post]:
        """Those that were not refused."""
        return [post for post in self.posts if post.code < 300]


@contextmanager
def hook_server(port: int = 0) -> Iterator[HookServer]:
    """Serve while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.posts.append(Post(self.path, headers, body, server.code))
            self.send_response(server.code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    running.daemon_threads = True
    server = HookServer(running.server_address[1])
    thread = threading.Thread(target=running.serve_forever, name="hook")
    thread.start()
    try:
        yield server
    finally:
        running.shutdown()
        running.server_close()
        thread.join()
