"""A small model hub over real HTTP: one repository at one commit, as the hub's client expects it."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

BIG_BYTES = 100_000  # files from here on are kept as large ones, under their SHA-256


@dataclass
class HubServer:
    """Serves `folder` as `model_id` at `revision`, also called main. spoiled: files that arrive with a wrong byte."""

    folder: Path
    model_id: str
    revision: str
    spoiled: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="hub-server")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def tree(self) -> list[dict[str, object]]:
        """What the repository holds, as the hub lists it."""
        entries: list[dict[str, object]] = []
        for path in sorted(self.folder.iterdir()):
            content = path.read_bytes()
            entry: dict[str, object] = {
                "type": "file",
                "path": path.name,
                "size": len(content),
                "oid": git_hash(content),
            }
            if len(content) >= BIG_BYTES:
                entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
            entries.append(entry)
        return entries


def git_hash(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one short case for each address
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._serve(body=False)

        def do_GET(self) -> None:
            self._serve(body=True)

        def _serve(self, *, body: bool) -> None:
            path = urlsplit(self.path).path
            hub.asked.append(path)
            api, files = f"/api/models/{hub.model_id}", f"/{hub.model_id}/resolve/{hub.revision}/"
            if path == f"{api}/revision/main":
                self._say(
                    200, json.dumps({"id": hub.model_id, "sha": hub.revision, "siblings": []}).encode(), body=body
                )
            elif path.startswith(f"{api}/tree/{hub.revision}"):
                self._say(200, json.dumps(hub.tree()).encode(), body=body)
            elif path.startswith(files) and (hub.folder / path.removeprefix(files)).is_file():
                self._file(path.removeprefix(files), body=body)
            elif path.startswith(api):
                self._say(404, b"{}", body=body, headers={"X-Error-Code": "RevisionNotFound"})
            else:
                self._say(404, b"{}", body=body, headers={"X-Error-Code": "EntryNotFound"})

        def _file(self, name: str, *, body: bool) -> None:
            content = (hub.folder / name).read_bytes()
            large = len(content) >= BIG_BYTES
            tag = sha256(content) if large else git_hash(content)
            sent = content[:-1] + bytes([content[-1] ^ 1]) if name in hub.spoiled else content
            headers = {"ETag": f'"{tag}"', "X-Repo-Commit": hub.revision}
            if large:
                headers |= {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(content))}
            self._say(200, sent, body=body, headers=headers)

        def _say(self, status: int, content: bytes, *, body: bool, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
