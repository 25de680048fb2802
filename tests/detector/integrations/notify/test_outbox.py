"""How many messages one target gets, by a clock that the tests move."""

from datetime import UTC, datetime, time

import pytest

from detector.integrations.notify.alerts import Alert
from detector.integrations.notify.outbox import Outbox, Policy
from detector.settings import AlertKind

NOON = datetime(2026, 7, 14, 12, 0, tzinfo=UTC).timestamp()
POLICY = Policy(cooldown_seconds=300, messages_per_hour=10, zone=UTC)


def alert(kind: AlertKind, subject: str = "camera north/roof", at: float = NOON, number: int = 0) -> Alert:
    return Alert(id=f"{kind} {subject} {at} {number}", kind=kind, subject=subject, site="north", at=at, facts={})


def storm(kind: AlertKind, number: int) -> Alert:
    return alert(kind, f"storm {number}")


def told(outbox: Outbox, now: float) -> list[str]:
    """Send what is due, as a target that is there; the kinds that were told."""
    due = outbox.due(now)
    if due:
        outbox.sent(now)
    return [one.kind for one in due]


def test_a_single_alert_goes_at_once() -> None:
    outbox = Outbox(POLICY)
    outbox.add(alert("camera_down"))
    assert told(outbox, NOON) == ["camera_down"]
    assert told(outbox, NOON + 1) == []


def test_a_target_that_was_down_for_ten_minutes_gets_one_summary() -> None:
    outbox = Outbox(POLICY)
    attempts, now = 0, NOON
    for second in range(600):
        now = NOON + second
        if second % 60 == 0:
            outbox.add(alert("camera_down", f"camera {second}", now))
        if outbox.due(now):
            outbox.failed(now)
            attempts += 1
    messages = []
    for second in range(600, 1500):
        due = outbox.due(NOON + second)
        if due:
            outbox.sent(NOON + second)
            messages.append(due)
    assert len(messages) == 1
    assert len(messages[0]) == 10
    assert 5 < attempts < 30  # it is tried with growing waits, not every second


def test_what_comes_and_goes_while_nobody_can_be_told_is_not_told() -> None:
    outbox = Outbox(POLICY)
    outbox.add(alert("camera_down"))
    assert outbox.due(NOON)
    outbox.failed(NOON)
    outbox.add(alert("camera_back", at=NOON + 30))
    assert told(outbox, NOON + 1000) == []


def test_a_storm_that_ended_while_nobody_could_be_told_is_told_as_one_alert() -> None:
    outbox = Outbox(POLICY)
    outbox.add(storm("storm_began", 1))
    assert outbox.due(NOON)
    outbox.failed(NOON)
    outbox.add(storm("storm_ended", 1))
    assert told(outbox, NOON + 1000) == ["storm_ended"]


def test_a_camera_that_comes_and_goes_is_told_once_in_a_cool_down() -> None:
    outbox, kinds = Outbox(POLICY), []
    for minute in range(30):
        now = NOON + minute * 60
        outbox.add(alert("camera_down" if minute % 2 == 0 else "camera_back", at=now))
        kinds += told(outbox, now)
    assert kinds.count("camera_down") <= 6
    assert kinds.count("camera_back") <= 6
    assert kinds[:2] == ["camera_down", "camera_back"]


def test_no_more_than_the_configured_number_goes_in_any_hour() -> None:
    outbox, sent = Outbox(Policy(cooldown_seconds=0, messages_per_hour=4, zone=UTC)), []
    for second in range(0, 4 * 3600, 30):
        now = NOON + second
        outbox.add(alert("camera_down", f"camera {second}", now))
        if told(outbox, now):
            sent.append(now)
    assert all(sum(begin <= at < begin + 3600 for at in sent) <= 4 for begin in sent)
    assert len(sent) >= 12  # and so many do go


def test_what_waited_for_the_hour_goes_as_one() -> None:
    outbox = Outbox(Policy(cooldown_seconds=0, messages_per_hour=1, zone=UTC))
    outbox.add(alert("camera_down", "camera 0"))
    assert len(told(outbox, NOON)) == 1
    for number in range(1, 8):
        outbox.add(alert("camera_down", f"camera {number}"))
        assert told(outbox, NOON + number) == []
    assert len(told(outbox, NOON + 3601)) == 7


@pytest.mark.parametrize(("hour", "quiet"), [(21, False), (22, True), (2, True), (6, True), (7, False), (12, False)])
def test_quiet_hours_go_over_midnight(hour: int, quiet: bool) -> None:
    policy = Policy(cooldown_seconds=0, messages_per_hour=10, quiet=(time(22), time(7)), zone=UTC)
    now = datetime(2026, 7, 14, hour, 30, tzinfo=UTC).timestamp()
    outbox = Outbox(policy)
    outbox.add(alert("camera_down", at=now))
    assert bool(told(outbox, now)) is not quiet


def test_a_night_of_alerts_is_one_message_in_the_morning() -> None:
    outbox = Outbox(Policy(cooldown_seconds=300, messages_per_hour=10, quiet=(time(22), time(7)), zone=UTC))
    night = datetime(2026, 7, 14, 22, 0, tzinfo=UTC).timestamp()
    messages = []
    for minute in range(12 * 60):
        now = night + minute * 60
        if minute % 60 == 30 and minute < 9 * 60:
            outbox.add(storm("storm_ended", minute))
        if due := outbox.due(now):
            outbox.sent(now)
            messages.append((datetime.fromtimestamp(now, UTC).hour, len(due)))
    assert messages == [(7, 9)]


def test_an_alert_that_came_while_a_message_was_under_way_is_not_lost() -> None:
    outbox = Outbox(POLICY)
    outbox.add(alert("camera_down", number=1))
    assert outbox.due(NOON)
    outbox.add(alert("camera_down", "camera north/yard", number=2))
    outbox.sent(NOON)
    assert told(outbox, NOON + 1) == ["camera_down"]


def test_a_thousand_alerts_that_wait_are_bounded_and_counted() -> None:
    outbox = Outbox(POLICY)
    for number in range(1000):
        outbox.add(alert("camera_down", f"camera {number}"))
    assert len(outbox.due(NOON)) == 200
    assert outbox.state.dropped == 800


def test_a_restart_goes_on_with_what_waits_and_knows_what_was_told() -> None:
    before = Outbox(POLICY)
    before.add(alert("camera_down", "camera a"))
    told(before, NOON)
    before.add(alert("camera_down", "camera b"))
    after = Outbox(POLICY, before.state)
    assert told(after, NOON + 1) == ["camera_down"]
    after.add(alert("camera_down", "camera a", number=2))
    assert told(after, NOON + 2) == []  # the cool-down holds on
