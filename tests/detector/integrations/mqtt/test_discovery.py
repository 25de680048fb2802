"""Home Assistant's discovery payloads, held against the schema of its source (no Home Assistant runs here)."""

import re
from typing import Any

import jsonschema
import pytest

from detector.integrations.mqtt.discovery import camera_device, config_topic, device_id, site_device

TEXT = {"type": "string", "minLength": 1}
TOPIC = {"type": "string", "minLength": 1, "not": {"pattern": "[+#]"}}
AVAILABILITY = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["topic"],
        "properties": {
            "topic": TOPIC, "payload_available": TEXT, "payload_not_available": TEXT, "value_template": TEXT
        },
    },
}  # fmt: skip
COMMON: dict[str, Any] = {
    "platform": TEXT, "name": {"type": ["string", "null"]}, "unique_id": TEXT,
    "icon": {"pattern": "^[a-z-]+:[a-z0-9-]+$"},
    "entity_category": {"enum": ["config", "diagnostic"]}, "enabled_by_default": {"type": "boolean"},
    "json_attributes_topic": TOPIC, "json_attributes_template": TEXT, "qos": {"enum": [0, 1, 2]}, "encoding": TEXT,
    "availability": AVAILABILITY, "availability_mode": {"enum": ["all", "any", "latest"]}, "device_class": TEXT,
}  # fmt: skip
STATE: dict[str, Any] = {
    "state_topic": TOPIC, "value_template": TEXT, "force_update": {"type": "boolean"}, "expire_after": {"minimum": 0}
}  # fmt: skip
PLATFORMS: dict[str, dict[str, Any]] = {
    "binary_sensor": {
        "required": ["state_topic", "unique_id"],
        "properties": {
            **COMMON, **STATE, "off_delay": {"type": "integer", "minimum": 0}, "payload_on": TEXT, "payload_off": TEXT,
            "device_class": {"enum": ["connectivity", "safety", "problem", "running"]},
        },
    },
    "sensor": {
        "required": ["state_topic", "unique_id"],
        "properties": {
            **COMMON, **STATE, "unit_of_measurement": TEXT, "state_class": {"enum": ["measurement", "total"]},
            "device_class": {"enum": ["timestamp", "duration"]},
        },
    },
    "image": {
        "required": ["image_topic", "unique_id"],
        "properties": {**COMMON, "image_topic": TOPIC, "content_type": TEXT, "image_encoding": {"const": "b64"}},
    },
}  # fmt: skip
DEVICE_TEXTS = (
    "configuration_url", "hw_version", "manufacturer", "model", "model_id", "name", "serial_number", "suggested_area",
    "sw_version", "via_device",
)  # fmt: skip
DEVICE_DISCOVERY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["device", "components", "origin"],
    "properties": {
        "device": {
            "type": "object",
            "additionalProperties": False,
            "anyOf": [{"required": ["identifiers"]}, {"required": ["connections"]}],
            "properties": {
                "identifiers": {"type": "array", "minItems": 1, "items": TEXT},
                "connections": {"type": "array"},
                **dict.fromkeys(DEVICE_TEXTS, TEXT),
            },
        },
        "origin": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": TEXT, "sw_version": TEXT, "support_url": TEXT},
        },
        "components": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["platform"],
                "properties": {"platform": {"enum": sorted(PLATFORMS)}},
                "allOf": [
                    {
                        "if": {"properties": {"platform": {"const": platform}}},
                        "then": {**schema, "additionalProperties": False},
                    }
                    for platform, schema in PLATFORMS.items()
                ],
            },
        },
        "availability": AVAILABILITY,
        "availability_mode": {"enum": ["all", "any", "latest"]},
        "state_topic": TOPIC,
        "command_topic": TOPIC,
        "qos": {"enum": [0, 1, 2]},
        "encoding": TEXT,
    },
}  # fmt: skip
"""What `homeassistant/components/mqtt/schemas.py` and the platforms beside it ask for, with the keys of use here: an
unknown key is refused in the device, the origin and at the top, and dropped in silence in a component."""
DISCOVERY_TOPIC = re.compile(r"homeassistant/(?P<component>\w+)/(?:[a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config")

PAYLOADS = [
    camera_device("lightning", "lightning/bridge/b/status", "north", "roof-2", stills=True),
    camera_device("lightning", "lightning/bridge/b/status", "north", "roof-2", stills=False),
    site_device("lightning", "lightning/bridge/b/status", "north"),
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_is_what_home_assistant_takes(payload: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(DEVICE_DISCOVERY).validate(payload)


@pytest.mark.parametrize(
    "wrong",
    [
        {"components": {"x": {"platform": "sensor", "unique_id": "x"}}},
        {"components": {"x": {"state_topic": "a", "unique_id": "x"}}},
        {"device": {"name": "nameless"}},
        {"origin": {}},
        {"qos": 3},
        {"nonsense": 1},
    ],
)
def test_the_schema_of_this_test_refuses_what_home_assistant_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(DEVICE_DISCOVERY).validate(PAYLOADS[0] | wrong)


def test_each_thing_has_a_name_of_its_own() -> None:
    names = [part["unique_id"] for payload in PAYLOADS[1:] for part in payload["components"].values()]
    assert len(names) == len(set(names))
    assert device_id("a", "b-c") != device_id("a-b", "c")
    assert PAYLOADS[0]["device"]["via_device"] == PAYLOADS[2]["device"]["identifiers"][0]


def test_the_topic_is_one_that_home_assistant_listens_to() -> None:
    found = DISCOVERY_TOPIC.fullmatch(config_topic("homeassistant", device_id("north", "roof-2")))
    assert found is not None
    assert found["component"] == "device"


def test_each_device_says_that_it_is_no_safety_device() -> None:
    for payload in PAYLOADS:
        assert "Not a safety device" in payload["device"]["model"]
        assert "not distance" in payload["device"]["model"]
