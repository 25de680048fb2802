"""Events and their JSON Schema: names that leave the program, described as data."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from detector.events import (
    FLASH_SCHEMA,
    FLASH_TOPIC,
    FLASH_TYPE,
    Flash,
    Media,
    Opinion,
    Pulse,
    State,
    Verdict,
    event_schema,
)
from helpers.feed import flash
from stream import Clock, Message

GOLDEN = json.loads(Path(__file__).with_name("golden_fields.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", [Message, Flash, Pulse, Opinion, Verdict, Media])
def test_the_fields_of_events_have_these_names_in_this_order(kind: type[msgspec.Struct]) -> None:
    assert [field.encode_name for field in msgspec.structs.fields(kind)] == GOLDEN[kind.__name__]


def test_states_clocks_and_the_names_of_topic_and_type_are_these() -> None:
    assert list(get_args(State)) == GOLDEN["states"]
    assert list(get_args(Clock)) == GOLDEN["clocks"]
    assert GOLDEN["names"] == [FLASH_TYPE, FLASH_TOPIC, FLASH_SCHEMA]


def test_every_type_and_field_of_the_schema_is_described() -> None:
    for name, kind in event_schema()["$defs"].items():
        for part in (kind, *kind["properties"].values()):
            assert part["description"].endswith("."), f"{name}: {part}"


def test_the_schema_is_the_same_where_python_strips_docstrings() -> None:
    program = "import json; from detector.events import event_schema; print(json.dumps(event_schema()))"
    done = subprocess.run([sys.executable, "-OO", "-c", program], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == event_schema()


def test_a_choice_with_null_names_null_last_whatever_order_msgspec_gives() -> None:
    properties = event_schema()["$defs"]["Flash"]["properties"]
    assert properties["verdict"]["anyOf"] == [{"$ref": "#/$defs/Verdict"}, {"type": "null"}]
    assert properties["file"]["anyOf"] == [{"type": "string"}, {"type": "null"}]


def test_the_dict_of_a_flash_is_the_data_of_its_event() -> None:
    one = flash()
    assert json.loads(json.dumps(one.to_dict())) == json.loads(msgspec.json.encode(one))
    assert list(one.to_dict()) == GOLDEN["Flash"]
