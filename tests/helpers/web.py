"""A web server of the tests: fixed answers, redirects and a folder, and a note of each request."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = bytes | str | Callable[[], bytes]
"""What is sent: bytes, or where to go instead, or a function that makes the bytes."""


@dataclass
class WebServer:
    """A running server.

    Attributes:
        address: its URL.
        pages: by path, what it answers; anything else is 404. May be changed while it runs.
        asked: paths of all requests so far.
    """

    address: str
    pages: dict[str, Answer]
    asked: list[str] = field(default_factory=list)


@contextmanager
def web_server(pages: dict[str, Answer], host: str = "127.0.0.1") -> Iterator[WebServer]:
    """Serve `pages` while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            answer = server.pages.get(self.path.partition("?")[0])
            if isinstance(answer, str):
                self.send_response(302)
                self.send_header("Location", answer)
                self.end_headers()
            elif answer is None:
                self.send_error(404)
            else:
                data = answer if isinstance(answer, bytes) else answer()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer((host, 0), Handler)
    running.daemon_threads = True
    server = WebServer(f"http://{host}:{running.server_address[1]}", pages)
    thread = threading.Thread(target=running.serve_forever, name="web")
    thread.start()
    try:
        yield server
    finally:
        running.shutdown()
        running.server_close()
        thread.join()
