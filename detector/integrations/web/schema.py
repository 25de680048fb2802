"""The page's interface for programs, as OpenAPI 3.1."""

from typing import Any

from detector import __version__

_ERROR = {
    "description": "Why not, in words.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
        }
    },
}
_REFUSALS = dict.fromkeys(("400", "401", "403", "405", "414", "421"), _ERROR)


def _query(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def _path(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": text}


def _get(summary: str, kind: str, schema: dict[str, Any], *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = {"description": summary, "content": {kind: {"schema": schema}}}
    responses = {"200": answer} | {code: answer if code == "503" else _ERROR for code in more.get("codes", ())}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses | _REFUSALS}}


_OBJECT = {"type": "object"}
_TEXT = {"type": "string"}
_TIME = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": r"^[0-9]{1,10}(\.[0-9]{1,6})?$"},
    ]
}
_BINARY = {"type": "string", "format": "binary"}
_FLASH = {
    "type": "object",
    "required": ["site", "sequence", "published", "at", "words", "media", "flash"],
    "properties": {
        "site": {"type": "string", "description": "Who published it."},
        "sequence": {"type": "integer", "description": "Number of its last revision in the feed."},
        "published": {"type": "number", "description": "When that was published, seconds since 1970."},
        "at": {"type": "number", "description": "When the flash began, seconds since 1970."},
        "words": {"type": "array", "items": _TEXT, "description": "What speaks for lightning, or against it."},
        "media": {
            "type": "object",
            "additionalProperties": {"type": ["string", "null"]},
            "description": "Addresses of still, clip and others on this page.",
        },
        "flash": {"type": "object", "description": "`data` of the event: see docs/flash.schema.json."},
    },
}
_CAMERA = {
    "type": "object",
    "required": ["site", "name", "state", "mark", "text"],
    "properties": {
        "site": _TEXT,
        "name": _TEXT,
        "state": {"enum": ["connecting", "live", "stalled", "down"]},
        "mark": {"enum": ["ok", "warn", "bad"]},
        "text": _TEXT,
    },
}


def _list_of(name: str, items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": items}}}


def openapi() -> dict[str, Any]:
    """Return the description of all requests."""
    site = _query("site", _TEXT, "Only of this site.")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lightning-detector page",
            "version": __version__,
            "description": "Read-only. With a token: `Authorization: Bearer TOKEN`.",
        },
        "paths": {
            "/health": _get("200 while all is well, else 503.", "application/json", _OBJECT, codes=("503",)),
            "/metrics": _get("Metrics for Prometheus.", "text/plain", _TEXT),
            "/api/schema": _get("This description.", "application/json", _OBJECT),
            "/api/state": _get("All but the flashes, as the page shows it.", "application/json", _OBJECT),
            "/api/flashes": _get(
                "Flashes, the newest first, each in its last revision.",
                "application/json",
                _list_of("flashes", _FLASH),
                _query("since", _TIME, "At or after this time: ISO 8601, or seconds since 1970."),
                _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "So many at most; 100 if omitted."),
                _query("camera", _TEXT, "Only of this camera."),
                _query("state", {"enum": ["detected", "confirmed", "rejected", "unverified"]}, "Only in this state."),
                site,
            ),
            "/api/flashes/{id}/curve": _get(
                "The light curve of a flash's clip.", "application/json", _OBJECT, _path("id", "Of the flash."),
                codes=("404",),
            ),
            "/api/cameras": _get("The cameras.", "application/json", _list_of("cameras", _CAMERA), site),
            "/api/cameras/{name}/snapshot.jpg": _get(
                "The last small image of a camera.", "image/jpeg", _BINARY, _path("name", "Of the camera."), site,
                codes=("404",),
            ),
        },
    }  # fmt: skip
