"""The page's application: pages, assets, JSON, server-sent events, metrics and media."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from detector.events import State
from detector.integrations.web.board import Board
from detector.integrations.web.broadcast import MOST_LISTENERS, Broadcast
from detector.integrations.web.clip_curve import clip_curve
from detector.integrations.web.folder import MEDIA_TYPES, RunFolders
from detector.integrations.web.health import health
from detector.integrations.web.metrics import CONTENT_TYPE, metrics_text
from detector.integrations.web.schema import openapi
from detector.integrations.web.views import Views
from detector.output.report.embedding import ASSETS
from detector.output.report.symbols import ICONS, LINED

_HERE = Path(__file__).parent
_SHARED = ("base.css", "common.js", "curve.js", "player.js")
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_LIMIT, _MOST = 100, 1000
_STATES = State.__args__  # type: ignore[attr-defined]
_STATE_SECONDS = 2.0  # between two unchanged states; the browser counts ages itself
_SOONEST_SECONDS = 0.25  # between two states
_CURVES_KEPT = 64
_CACHE = {"cache-control": "private, max-age=86400"}
_NO_STORE = {"cache-control": "no-store"}
encode = msgspec.json.Encoder().encode


class LivePage:
    """The answers to all requests; see `app`.

    Args:
        board: the state of the feeds.
        folders: where images and clips are.
        title: title of the page.
        zone: name of the time zone in which local times are shown.
    """

    def __init__(self, board: Board, folders: RunFolders, *, title: str, zone: str) -> None:
        self.board = board
        self.news = Broadcast()
        self._folders = folders
        self._views = Views(board, folders)
        self._assets = dict(_asset(path) for path in _asset_paths())
        self._pages = {name: _render(name, title=title, zone=zone) for name in ("page.html.j2", "mask.html.j2")}
        self._changed = asyncio.Event()
        self._curves: OrderedDict[tuple[str, str], dict[str, Any] | None] = OrderedDict()
        self._one_clip = anyio.CapacityLimiter(1)  # decoding a clip costs a core for half a second
        board.changed = self._note

    def app(self) -> Starlette:
        """Return the application without access control."""
        app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/mask", self._mask),
                Route("/assets/{name}", self._asset),
                Route("/health", self._health),
                Route("/metrics", self._metrics),
                Route("/api/schema", self._schema),
                Route("/api/state", self._state),
                Route("/api/events", self._events),
                Route("/api/flashes", self._flashes),
                Route("/api/flashes/{id}/curve", self._curve),
                Route("/api/cameras", self._cameras),
                Route("/api/cameras/{name}/snapshot.jpg", self._snapshot),
                Route("/media/{site}/{name:path}", self._media),
            ],
            exception_handlers={HTTPException: _refused, Exception: _fault},
            lifespan=self._lifespan,
        )
        app.router.redirect_slashes = False
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        teller = asyncio.create_task(self._tell_state())
        try:
            yield
        finally:
            teller.cancel()

    def _note(self, kind: str, flash_id: str) -> None:
        if kind == "flash" and flash_id in self.board.flashes and self.news.listeners:
            self.news.send("flash", encode(self._views.flash(self.board.flashes[flash_id])))
        self._changed.set()

    async def _tell_state(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _STATE_SECONDS)
            self._changed.clear()
            if self.news.listeners:
                self.news.send("state", encode(self._views.state(whole=False)))
            await asyncio.sleep(_SOONEST_SECONDS)

    async def _page(self, _request: Request) -> Response:
        return Response(self._pages["page.html.j2"], media_type="text/html", headers={"cache-control": "no-cache"})

    async def _mask(self, _request: Request) -> Response:
        return Response(self._pages["mask.html.j2"], media_type="text/html", headers={"cache-control": "no-cache"})

    async def _asset(self, request: Request) -> Response:
        found = self._assets.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "there is no such file")
        body, kind, tag = found
        headers = {"cache-control": "no-cache", "etag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=kind, headers=headers)

    async def _health(self, _request: Request) -> Response:
        well, details = health(self.board)
        return _json(details, 200 if well else 503)

    async def _metrics(self, _request: Request) -> Response:
        return Response(metrics_text(self.board), headers=_NO_STORE | {"content-type": CONTENT_TYPE})

    async def _schema(self, _request: Request) -> Response:
        return _json(openapi())

    async def _state(self, _request: Request) -> Response:
        return _json(self._views.state())

    async def _events(self, _request: Request) -> Response:
        if self.news.listeners >= MOST_LISTENERS or self.news.closed:
            raise HTTPException(503, f"{self.news.listeners} browsers listen already")
        first = b"retry: 1000\nevent: state\ndata: %s\n\n" % encode(self._views.state())
        headers = _NO_STORE | {"x-accel-buffering": "no"}
        return StreamingResponse(self.news.stream(first), media_type="text/event-stream", headers=headers)

    async def _flashes(self, request: Request) -> Response:
        query = _query(request, "since", "limit", "camera", "state", "site")
        since = _time(query["since"]) if "since" in query else None
        limit = _count(query.get("limit", str(_LIMIT)))
        if "state" in query and query["state"] not in _STATES:
            raise HTTPException(400, f"state: choose of {', '.join(_STATES)}")
        found = [
            one
            for one in self.board.flashes.values()
            if (since is None or one.at >= since)
            and query.get("camera", one.flash.camera) == one.flash.camera
            and query.get("state", one.flash.state) == one.flash.state
            and query.get("site", one.site) == one.site
        ]
        found.sort(key=lambda one: one.at, reverse=True)
        return _json({"flashes": [self._views.flash(one) for one in found[:limit]], "more": len(found) > limit})

    async def _curve(self, request: Request) -> Response:
        one = self.board.flashes.get(request.path_params["id"])
        if one is None:
            raise HTTPException(404, "there is no such flash")
        media = one.data.get("media")
        name = media.get("clip") if isinstance(media, dict) else None
        path = self._folders.file(one.site, name) if isinstance(name, str) else None
        if path is None or not isinstance(media, dict):
            raise HTTPException(404, "no clip is kept of this flash")
        key = (one.flash.id, str(name))
        if key not in self._curves:
            curve = await anyio.to_thread.run_sync(clip_curve, path, one.flash, media, limiter=self._one_clip)
            self._curves[key] = curve
            while len(self._curves) > _CURVES_KEPT:
                self._curves.popitem(last=False)
        curve = self._curves.get(key)
        if curve is None:
            raise HTTPException(404, "the clip of this flash cannot be read")
        return _json(curve)

    async def _cameras(self, request: Request) -> Response:
        query = _query(request, "site")
        cameras = [
            self._views.camera(one) for one in self.board.camera_list() if query.get("site", one.site) == one.site
        ]
        return _json({"cameras": cameras})

    async def _snapshot(self, request: Request) -> Response:
        name, query = request.path_params["name"], _query(request, "site", "t")
        for camera in self.board.camera_list():
            if camera.name == name and query.get("site", camera.site) == camera.site:
                path = self._folders.snapshot(camera.site, name)
                data = _whole(path)
                if data is not None:
                    return Response(data, media_type="image/jpeg", headers=_NO_STORE)
        raise HTTPException(404, "there is no image of such a camera; watch writes them with --out")

    async def _media(self, request: Request) -> Response:
        path = self._folders.file(request.path_params["site"], request.path_params["name"])
        if path is None:
            raise HTTPException(404, "there is no such file")
        # FileResponse answers ranges, without which browsers play but cannot seek.
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix.lower()], headers=_CACHE)


def _whole(path: Path | None) -> bytes | None:
    """Return a small file that is replaced every few seconds: read at once, so that its length is that of its data."""
    try:
        return None if path is None else path.read_bytes()
    except OSError:
        return None


def _json(content: object, code: int = 200) -> Response:
    return Response(encode(content), code, headers=_NO_STORE, media_type="application/json")


async def _refused(_request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"error": getattr(error, "detail", "")}, code)


async def _fault(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "a fault in the page; its log says more"}, 500)


def _query(request: Request, *known: str) -> dict[str, str]:
    """Return the parameters of a query, each once."""
    found: dict[str, str] = {}
    for key, value in request.query_params.multi_items():
        if key in found:
            raise HTTPException(400, f"{key} is given twice")
        if key in known:
            found[key] = value
    return found


def _time(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        try:
            time = datetime.fromisoformat(text.strip().upper().replace(" ", "+"))
            seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = float("nan")
    if seconds != seconds or abs(seconds) == float("inf"):  # noqa: PLR0124 - not a number
        raise HTTPException(400, "since: write a time such as 2026-11-22T21:29:03Z, or seconds since 1970")
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST and len(text) < 9):
        raise HTTPException(400, f"limit: write a whole number from 1 to {_MOST}")
    return int(text)


def _asset_paths() -> list[Path]:
    return [*(ASSETS / name for name in _SHARED), *sorted((_HERE / "assets").iterdir())]


def _asset(path: Path) -> tuple[str, tuple[bytes, str, str]]:
    body = path.read_bytes()
    return path.name, (body, _KINDS[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _render(name: str, **values: str) -> bytes:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(icons=ICONS, lined=LINED, **values).encode()
