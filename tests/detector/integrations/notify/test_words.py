"""What messages say."""

from datetime import UTC, datetime

import pytest

from detector.errors import UsageError
from detector.integrations.notify.alerts import Alert
from detector.integrations.notify.words import TEXTS, TITLES, WARNING, Templates
from detector.settings import ALERT_KINDS, AlertKind

AT = datetime(2026, 7, 14, 19, 15, tzinfo=UTC).timestamp()
FACTS = {
    "flashes": 12, "rate": 1.5, "trend": "rising", "cameras": "roof, yard", "first": AT - 60, "last": AT,
    "quiet_minutes": 30.0, "strongest_camera": "roof", "camera": "roof", "pulses": 3, "duration": 0.4, "state": "down",
    "error": "no answer", "since": AT - 60, "seconds": 60, "folder": "out", "free_mb": 900,
}  # fmt: skip


def alert(kind: AlertKind, **facts: object) -> Alert:
    return Alert(id=kind, kind=kind, subject=kind, site="north", at=AT, facts=FACTS | facts)


def test_every_kind_has_words() -> None:
    assert set(TITLES) == set(TEXTS) == set(ALERT_KINDS)


@pytest.mark.parametrize("kind", ALERT_KINDS)
def test_a_message_names_the_site_and_fills_every_name(kind: AlertKind) -> None:
    words = Templates({}, UTC).of([alert(kind)])
    assert "north" in words.title
    assert "{" not in words.title + words.text


@pytest.mark.parametrize("kind", ["first_flash", "storm_began", "storm_ended"])
def test_every_message_about_lightning_says_that_this_is_no_safety_device(kind: AlertKind) -> None:
    templates = Templates({kind: "short"}, UTC)
    assert WARNING in templates.of([alert(kind)]).text
    assert WARNING in templates.of([alert(kind), alert("disk_low")]).text
    assert "Not a safety device" in WARNING
    assert "not distance" in WARNING


def test_a_storm_that_verdicts_took_back_is_called_none() -> None:
    assert Templates({}, UTC).of([alert("storm_ended", flashes=0)]).title == "north: the storm was none"


def test_several_alerts_are_summed_up_in_the_order_of_time() -> None:
    words = Templates({}, UTC).of([alert("camera_down"), alert("storm_began")], dropped=3)
    assert words.title == "north: 5 messages that had to wait"
    assert "a storm has begun" in words.text
    assert "(3 earlier ones are left out)" in words.text


def test_a_template_says_what_is_known() -> None:
    templates = Templates({"storm_began": "{flashes} since {first} ({trend})"}, UTC)
    assert templates.of([alert("storm_began")]).text.startswith("12 since 2026-07-14 19:14:00 UTC (rising)")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("storm", "x"),
        ("storm_began", "{password}"),
        ("storm_began", "{flashes.__class__}"),
        ("storm_began", "{flashes!r}"),
        ("storm_began", "{flashes:>99}"),
        ("storm_began", "{"),
        ("disk_low", "{camera}"),
    ],
)
def test_a_template_that_names_what_is_not_known_is_refused(kind: str, text: str) -> None:
    with pytest.raises(UsageError, match="--template"):
        Templates({kind: text}, UTC)
