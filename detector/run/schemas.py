"""JSON Schemas of the `data` of feed messages; `dataschema` of a message names its schema."""

from typing import Any

import msgspec

from detector.events import FLASH_SCHEMA, FLASH_TYPE, Flash
from detector.run.system_events import (
    CAMERA_SCHEMA,
    CAMERA_TYPE,
    SYSTEM_SCHEMA,
    SYSTEM_TYPE,
    CameraState,
    SystemState,
)
from detector.storms.events import GROUP_SCHEMA, GROUP_TYPE, STORM_SCHEMA, STORM_TYPE, Group, Storm

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The newest draft that all common validators, such as ajv, read with default options."""

_KINDS: dict[str, tuple[str, Any]] = {
    FLASH_TYPE: (FLASH_SCHEMA, Flash),
    STORM_TYPE: (STORM_SCHEMA, Storm),
    GROUP_TYPE: (GROUP_SCHEMA, Group),
    CAMERA_TYPE: (CAMERA_SCHEMA, CameraState),
    SYSTEM_TYPE: (SYSTEM_SCHEMA, SystemState),
}


def data_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of `data` for each type of message."""
    return {kind: _schema(urn, data) for kind, (urn, data) in _KINDS.items()}


def _schema(urn: str, data: Any) -> dict[str, Any]:
    (schema,), definitions = msgspec.json.schema_components([data], ref_template="#/definitions/{name}")
    found: dict[str, Any] = plain(
        {"$schema": DRAFT, "$id": urn, "allOf": [schema], "definitions": dict(sorted(definitions.items()))}
    )
    return found


def plain(schema: Any) -> Any:
    """Return a schema of msgspec in terms of draft 7, equal for all releases of msgspec."""
    if isinstance(schema, list | tuple):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # Docstrings are missing under -OO, and are cut differently by msgspec's releases.
    found = {key: plain(one) for key, one in schema.items() if not (key == "description" and "properties" in schema)}
    if "prefixItems" in found:
        found["items"] = found.pop("prefixItems")
        found["additionalItems"] = False
    if "$ref" in found and len(found) > 1:  # draft 7 ignores keys beside a reference
        found["allOf"] = [{"$ref": found.pop("$ref")}]
    found.get("anyOf", []).sort(key=lambda choice: choice.get("type") == "null")
    return found
