"""One object is a message on its way: listeners share what was decoded."""

import msgspec
import pytest

from stream import Message, WireMessage


class Reading(msgspec.Struct, frozen=True):
    camera: str
    level: float


class Other(msgspec.Struct, frozen=True):
    camera: str


def wire(data: object, sequence: int = 7) -> WireMessage:
    envelope = Message(
        id="a", source="urn:x", type="t", subject="cam", time="2026-11-22T21:29:03.501221Z", dataschema="urn:d",
        feed="f", run="r", sequence=str(sequence), data=data,
    )  # fmt: skip
    return WireMessage("ev.flash.cam", sequence, msgspec.json.encode(envelope))


def test_data_is_decoded_once_for_all_listeners() -> None:
    message = wire({"camera": "cam", "level": 4.5})
    assert message.data_as(Reading) == Reading("cam", 4.5)
    assert message.data_as(Reading) is message.data_as(Reading)
    assert message.message is message.message


def test_data_has_the_type_that_each_listener_asks_for() -> None:
    message = wire({"camera": "cam", "level": 4.5})
    assert message.message.data == {"camera": "cam", "level": 4.5}
    assert message.data_as(Other) == Other("cam")
    assert message.data_as(Reading).level == 4.5


@pytest.mark.parametrize("decoded_before", [False, True])
def test_data_of_another_kind_is_refused(decoded_before: bool) -> None:
    message = wire({"camera": "cam"})
    if decoded_before:
        assert message.message.data
    with pytest.raises(msgspec.ValidationError, match="level"):
        message.data_as(Reading)


def test_messages_are_equal_by_topic_number_and_body_whether_decoded_or_not() -> None:
    one, other = wire({"camera": "cam"}), wire({"camera": "cam"})
    assert one.message.subject == "cam"
    assert one == other
    assert one != wire({"camera": "cam"}, sequence=8)


def test_frames_are_topic_number_and_json() -> None:
    message = wire({})
    assert message.frames() == [b"ev.flash.cam", (7).to_bytes(8, "big"), message.body]
