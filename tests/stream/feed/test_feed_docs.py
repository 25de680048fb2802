"""What is written about the feed is what it does."""

import json
import re
from dataclasses import fields

import jsonschema
import msgspec
import pytest

from detector.cli.options import publish_options
from detector.events import FLASH_SCHEMA, FLASH_TYPE, event_schema
from detector.run.schemas import data_schemas
from detector.settings import load_settings
from helpers import ROOT
from helpers.feed import flash, options_for
from stream import FeedOptions, Publisher
from stream.feed.gateway.client import MAX_PARTS, SUBSCRIPTIONS_AT_ONCE
from stream.feed.protocol import PAGE_BYTES, PAGE_MESSAGES, PROTOCOL, REQUEST_BYTES, Heartbeat, Reply
from stream.feed.sequencer import _MAX_HELD

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "feed.md").read_text(encoding="utf-8")


def published_flash() -> dict[str, object]:
    told: list[bytes] = []
    with Publisher(options_for(None), event_schema(), lambda one: told.append(one.body)) as feed:
        feed.publish(topic="ev.flash.cam", type=FLASH_TYPE, subject="cam", dataschema=FLASH_SCHEMA, data=flash())
    return dict(json.loads(told[0]))


def test_the_schema_in_the_repository_is_the_schema_of_the_code() -> None:
    kept = msgspec.json.decode((DOCS / "flash-message.schema.json").read_bytes())
    assert kept == event_schema(), "bring it up to date: lightning-detector schema > docs/flash-message.schema.json"


@pytest.mark.parametrize("kind", sorted(data_schemas()))
def test_the_schemas_of_data_in_the_repository_are_those_of_the_code(kind: str) -> None:
    name = kind.split(".")[1]
    kept = msgspec.json.decode((DOCS / f"{name}.schema.json").read_bytes())
    assert kept == data_schemas()[kind], f"lightning-detector schema --type {kind} > docs/{name}.schema.json"


def test_the_data_of_every_example_is_valid_by_the_schema_that_it_names(page: str) -> None:
    by_name = {schema["$id"]: schema for schema in data_schemas().values()}
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    messages = [example for example in examples if "specversion" in example]
    assert {message["type"] for message in messages} == set(data_schemas())
    for message in messages:
        schema = by_name[message["dataschema"]]
        jsonschema.validators.validator_for(schema).check_schema(schema)
        jsonschema.validate(message["data"], schema)
        definition = schema["allOf"][0]["$ref"].rpartition("/")[2]
        for field in schema["definitions"][definition]["required"]:
            less = {key: value for key, value in message["data"].items() if key != field}
            assert not jsonschema.validators.validator_for(schema)(schema).is_valid(less), field


def test_the_numbers_of_messages_order_as_text(page: str) -> None:
    told: list[bytes] = []
    with Publisher(options_for(None), event_schema(), lambda one: told.append(one.body)) as feed:
        for _ in range(12):
            feed.publish(topic="ev.flash.cam", type=FLASH_TYPE, subject="cam", dataschema=FLASH_SCHEMA, data=flash())
    numbers = [json.loads(body)["sequence"] for body in told]
    assert numbers == sorted(numbers)
    assert {len(number) for number in numbers} == {20}
    assert "20 decimal digits" in page


def test_a_published_flash_is_valid_by_the_schema_and_a_damaged_one_is_not() -> None:
    validator = jsonschema.Draft202012Validator(json.loads((DOCS / "flash-message.schema.json").read_text()))
    message = published_flash()
    validator.validate(message)
    for damaged in (
        message | {"sequence": 5},
        {k: v for k, v in message.items() if k != "feed"},
        message | {"data": {}},
    ):
        assert not validator.is_valid(damaged)


def test_a_published_flash_is_a_cloudevent() -> None:
    message = published_flash()
    assert {"specversion", "id", "source", "type", "subject", "time", "dataschema", "data"} <= message.keys()
    assert message["specversion"] == "1.0"
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in message)
    assert all(isinstance(value, str | bool) for name, value in message.items() if name != "data")


def test_the_heartbeat_on_the_page_has_the_fields_of_a_heartbeat(page: str) -> None:
    example = next(block for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "run_seconds" in block)
    assert list(json.loads(example)) == [field.name for field in msgspec.structs.fields(Heartbeat)]
    msgspec.json.decode(example, type=Heartbeat)
    more = {field.name for field in msgspec.structs.fields(Reply)} - set(json.loads(example)) - {"error"}
    assert all(f"`{name}`" in page for name in more)


def test_the_limits_on_the_page_are_the_limits_of_the_code(page: str) -> None:
    for text in (
        f"at most {REQUEST_BYTES} bytes",
        f"default and most {PAGE_MESSAGES}) and about {PAGE_BYTES // 1024} kB",
        f"`protocol` ({PROTOCOL})",
        f"{_MAX_HELD:,}",
        f"{FeedOptions(site='x').send_queue_messages} messages wait",
        f"{FeedOptions(site='x').requests_per_second:.0f} requests per second",
        f"{FeedOptions(site='x').max_connections} connections",
        f"{SUBSCRIPTIONS_AT_ONCE} subscriptions",
        f"{MAX_PARTS} frames",
    ):
        assert text in page


def test_the_shipped_settings_and_the_librarys_own_defaults_are_the_same() -> None:
    import argparse  # noqa: PLC0415 - only here

    nothing = argparse.Namespace(publish=None, publish_always=False, journal=None, keys=None, insecure=False)
    shipped, own = publish_options(load_settings(), nothing), FeedOptions(site=load_settings().feed.site)
    assert {f.name: getattr(shipped, f.name) for f in fields(own)} == {
        f.name: getattr(own, f.name) for f in fields(own)
    }
