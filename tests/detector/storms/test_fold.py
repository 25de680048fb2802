"""Storms and groups: what a fold over made flashes tells."""

import random
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest

from detector.events import Flash, Pulse
from detector.settings import StormSettings
from detector.storms.events import Group, Storm
from detector.storms.fold import LATE_SECONDS, StormFold
from detector.storms.groups import utc_seconds
from helpers.storms import START, made_flash


def at(seconds: float, camera: str = "west", *, bound: float | None = None, **more: object) -> Flash:
    """A flash whose time has a bound only where one is given."""
    clock = "file" if bound is None else "rtcp"
    return made_flash(seconds, camera, id=f"{camera}-{seconds:.3f}", clock=clock, utc_error_ms=bound, **more)


def fold(*, count_unverified: bool = False) -> StormFold:
    return StormFold(StormSettings(count_unverified=count_unverified), "north")


def told(one: StormFold, flashes: Sequence[Flash]) -> list[Storm]:
    return [event for flash in flashes for event in one.take(flash) if isinstance(event, Storm)]


def groups(one: StormFold, flashes: Sequence[Flash]) -> list[Group]:
    return [event for flash in flashes for event in one.take(flash) if isinstance(event, Group)]


def last_by_id(storms: Sequence[Storm]) -> list[Storm]:
    return list({storm.id: storm for storm in storms}.values())


def test_one_flash_is_no_storm_and_the_second_within_ten_minutes_begins_one_from_the_first() -> None:
    one = fold()
    assert not told(one, [at(0)])
    (began,) = told(one, [at(599)])
    assert (began.state, began.revision, began.flash_count) == ("began", 1, 2)
    assert began.first_utc is not None
    assert utc_seconds(began.first_utc) == START


def test_two_flashes_more_than_ten_minutes_apart_begin_nothing() -> None:
    assert not told(fold(), [at(0), at(601)])


def test_a_storm_ends_thirty_minutes_after_its_last_flash_and_the_next_is_another() -> None:
    one = fold()
    events = [*told(one, [at(0), at(30), at(60), at(60 + 1801), at(60 + 1900)]), *one.finish()]
    first, second = last_by_id([event for event in events if isinstance(event, Storm)])
    assert (first.state, first.flash_count, second.flash_count) == ("ended", 3, 2)
    assert first.all_clear_at is not None
    assert utc_seconds(first.all_clear_at) == START + 60 + 1800
    assert second.state == "ended"


def test_live_a_storm_ends_by_the_clock_once_late_verdicts_have_had_their_time() -> None:
    one = fold()
    told(one, [at(0), at(10)])
    quiet = START + 10 + 1800
    assert {event.state for event in one.advance(quiet + LATE_SECONDS) if isinstance(event, Storm)} <= {"updated"}
    (ended,) = one.advance(quiet + LATE_SECONDS + 1)
    assert isinstance(ended, Storm)
    assert ended.state == "ended"
    assert not one.advance(quiet + LATE_SECONDS + 2), "an end is told once"


def test_a_storm_of_five_hundred_flashes_is_updated_once_a_minute_at_most() -> None:
    events = told(fold(), [at(number * 2.0) for number in range(500)])
    updates = [utc_seconds(event.last_utc or "") for event in events]
    assert 15 <= len(updates) <= 18, "1000 s: one that begins, and at most one a minute"
    assert all(later - earlier >= 60 for earlier, later in pairwise(updates[1:]))


def test_a_late_flash_between_two_storms_makes_them_one() -> None:
    one = fold()
    events = told(one, [at(0), at(10), at(2400), at(2410)])
    assert len({event.id for event in events}) == 2
    events += told(one, [at(1200)])
    assert [event.merged_into for event in events if event.merged_into] == ["storm-west-0.000"]
    (last,) = [event for event in one.finish() if isinstance(event, Storm)]
    assert last.flash_count == 5


def test_a_late_verdict_corrects_the_count_and_one_that_takes_the_beginning_takes_the_storm() -> None:
    one = fold(count_unverified=True)
    doubtful = [at(5.0 * number, state="unverified") for number in range(3)]
    told(one, doubtful)
    for flash in doubtful[:1]:
        told(one, [msgspec.structs.replace(flash, state="rejected", revision=3)])
    corrected = [event for event in one.advance(START + 100) if isinstance(event, Storm)]
    assert [event.flash_count for event in corrected] == [2]
    (gone,) = told(one, [msgspec.structs.replace(doubtful[1], state="rejected", revision=3)])
    assert (gone.state, gone.flash_count) == ("ended", 0)


def test_lights_that_are_rejected_or_unverified_do_not_count() -> None:
    assert not told(fold(), [at(0, state="rejected"), at(1, state="unverified"), at(2, state="detected"), at(3)])


def test_recordings_without_utc_have_storms_in_their_own_seconds_and_no_all_clear() -> None:
    one = fold()
    flashes = [
        made_flash(at, utc=None, file=file, id=f"{file}{at}") for file in ("a.mp4", "b.mp4") for at in (1.0, 9.0)
    ]
    events = told(one, flashes)
    assert [(event.file, event.first_seconds, event.all_clear_at) for event in events] == [
        ("a.mp4", 1.0, None),
        ("b.mp4", 1.0, None),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_flashes_come_does_not_change_the_storms(seed: int) -> None:
    dice = random.Random(seed)
    flashes = [at(second) for second in sorted(dice.uniform(0, 20_000) for _ in range(40))]
    finals = []
    for order in (flashes, dice.sample(flashes, len(flashes))):
        one = fold()
        events = [*told(one, order), *one.finish()]
        final = last_by_id([event for event in events if isinstance(event, Storm)])
        finals.append(
            sorted((s.first_utc, s.last_utc, s.flash_count) for s in final if s.flash_count and not s.merged_into)
        )
    assert finals[0] == finals[1]


@pytest.mark.parametrize("cut", [1, 2, 7, 20, 33])
def test_after_a_kill_the_journal_gives_the_same_storms_under_the_same_ids(cut: int) -> None:
    flashes = [at(second) for second in [*range(0, 600, 30), *range(3000, 3600, 40)]]
    whole = fold()
    straight = [*told(whole, flashes), *whole.finish()]
    killed = fold()
    before = told(killed, flashes[:cut])
    for lost in (0, 1):  # the kill may have cost the last message behind the flash
        kept = before[: len(before) - lost]
        again = fold()
        after = [
            *again.restore([(flash, "north") for flash in flashes[:cut]], kept, []),
            *told(again, flashes[cut:]),
            *again.finish(),
        ]
        final = {one.id: one for one in [*kept, *after] if isinstance(one, Storm)}
        expected = {one.id: one for one in straight if isinstance(one, Storm)}
        plain = [
            {key: msgspec.structs.replace(one, revision=0) for key, one in each.items()} for each in (final, expected)
        ]
        assert plain[0] == plain[1]
        numbers = [(one.id, one.revision) for one in [*kept, *after] if isinstance(one, Storm)]
        assert len(numbers) == len(set(numbers)), "no revision is told twice"


def test_a_replay_that_goes_on_finds_its_storm_again_although_its_flashes_are_watched_anew() -> None:
    one = fold()
    kept = told(one, [at(0), at(10)])
    again = fold()
    assert not again.restore([], kept, [])
    events = [*told(again, [at(0), at(10), at(20)]), *again.finish()]
    assert [event.id for event in events if isinstance(event, Storm)] == [kept[0].id]
    assert [event.state for event in events if isinstance(event, Storm)] == ["ended"]


def test_cameras_that_agree_within_their_bounds_are_one_group_and_count_once() -> None:
    one = fold()
    views = [at(0.0, "a", bound=5), at(0.004, "b", bound=5), at(0.35, "c", bound=400)]
    first, second = groups(one, views)
    assert [len(first.members), len(second.members), first.id == second.id] == [2, 3, True]
    assert [second.revision, second.bound_ms] == [2, 5.0]
    (storm,) = told(one, [at(60.0, "a", bound=5)])
    assert storm.flash_count == 2, "three views of one flash are one"


def test_a_camera_that_missed_the_first_pulse_agrees_by_the_second() -> None:
    both = at(0.0, "a", bound=5, pulses=2)
    second = at(0.12, "b", bound=5)
    assert len(groups(fold(), [both, second])) == 1
    between = msgspec.structs.replace(
        at(0.09, "b", bound=5), pulses=(Pulse(offset_seconds=0.0, duration_seconds=0.01, rise_levels=9.0),)
    )
    assert not groups(fold(), [both, between]), "between two pulses it is dark"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (at(0.0, "a", bound=5, lit=0.5), "one camera cannot agree with itself"),
        (at(0.2, "b", bound=5), "too late for their bounds"),
        (at(0.0, "b", bound=600), "a bound that large agrees with anything"),
        (at(0.0, "b"), "the time of a file has no bound"),
        (at(0.0, "b", bound=5, state="unverified"), "only confirmed flashes"),
    ],
)
def test_these_flashes_do_not_make_a_group(other: Flash, why: str) -> None:
    twin = msgspec.structs.replace(other, id=f"{other.id}-twin")
    assert not groups(fold(), [at(0.0, "a", bound=5), twin]), why


def test_four_cameras_of_one_storm_with_different_offsets_are_grouped_flash_by_flash() -> None:
    dice = random.Random(4)
    bounds = {"a": 3.0, "b": 20.0, "c": 150.0, "d": 400.0}
    strikes = [8.0 * number + dice.uniform(0, 3) for number in range(100)]
    views = [
        (strike, at(round(strike + dice.uniform(-bound, bound) / 1000, 4), camera, bound=bound))
        for strike in strikes
        for camera, bound in bounds.items()
    ]
    one = fold()
    final = {group.id: group for group in groups(one, [flash for _, flash in views])}
    assert [len(group.members) for group in final.values()] == [4] * 100
    of = {flash.id: strike for strike, flash in views}
    assert all(len({of[member.flash] for member in group.members}) == 1 for group in final.values())


@pytest.mark.parametrize(("bound", "most"), [(5.0, 0.025), (400.0, 0.17)])
def test_chance_groups_of_two_independent_cameras_are_as_rare_as_the_docs_say(bound: float, most: float) -> None:
    dice = random.Random(1)
    flashes = sorted(
        (at(round(dice.uniform(0, 24_000), 3), camera, bound=bound) for camera in "ab" for _ in range(2000)),
        key=lambda flash: flash.start_seconds,
    )
    assert len(groups(fold(), flashes)) / 2000 < most
