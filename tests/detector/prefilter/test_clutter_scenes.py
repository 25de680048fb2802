"""Flashes over scenes that never rest: what these do by themselves is allowed for, and no more than that."""

from collections.abc import Iterator

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import (
    HEIGHT,
    WIDTH,
    Change,
    Picture,
    closed,
    frames,
    land,
    lit,
    marked,
    patch,
    prefilter,
    sky_light,
    watch,
)
from stream import Frame

ROWS, COLUMNS = HEIGHT // 5, WIDTH // 5  # of blocks
DROPS = 8


class Rain:
    """In each picture some blocks of the ground glint, each time others: none does again for seconds."""

    def __init__(self, drops: int = DROPS, levels: float = 20, *, top: int = 21) -> None:
        self._places = np.random.default_rng(2).permutation(np.arange(COLUMNS * top, COLUMNS * ROWS))
        self._drops, self._levels, self._next = drops, levels, 0

    def __call__(self, times: int = 1) -> Picture:
        """The next picture of it; times: as many drops as usual."""
        glints = np.zeros((ROWS, COLUMNS), np.float32)
        many = np.arange(self._next, self._next + times * self._drops) % len(self._places)
        glints.flat[self._places[many]] = self._levels
        self._next += times * self._drops
        return np.kron(glints, np.ones((5, 5), np.float32))


def over(rain: Rain, change: Change, *, downpour: float | None = None) -> Change:
    """`change` over rain; in the two pictures before the time `downpour` twice as much falls."""

    def both(when: float, quiet: Picture) -> Picture:
        heavy = downpour is not None and 0.02 < downpour - when < 0.1
        return change(when, quiet + rain(2 if heavy else 1))

    return both


def calm(change: Change, *, seconds: float = 7.0, rate: float = 25.0) -> Iterator[Frame]:
    return frames(change, scene=land() * 0 + 30, seconds=seconds, rate=rate, noise=0.3)


def starts(found: list[Candidate]) -> list[float]:
    return [round(candidate.start_seconds, 2) for candidate in found]


def watched(change: Change, *, seconds: float = 7.0, rate: float = 25.0) -> Prefilter:
    watcher = prefilter()
    watch(calm(change, seconds=seconds, rate=rate), watcher)
    return watcher


def still(_when: float, quiet: Picture) -> Picture:
    return quiet


@pytest.mark.parametrize("rate", [5, 8, 25, 30])
def test_twice_as_many_blocks_as_jump_by_themselves_are_asked_for_beside_those_of_the_smallest_light_at_every_rate(
    rate: float,
) -> None:
    rainy, dry = watched(over(Rain(), still), rate=rate).change, watched(still, rate=rate).change
    assert rainy is not None
    assert dry is not None
    share = 1 - np.exp(-7 / 3)  # of what there is: noise is remembered for three seconds
    assert rainy.least_blocks - dry.least_blocks == pytest.approx(2 * DROPS * share, rel=0.1)
    assert rainy.clutter.lost == pytest.approx(2 * DROPS * 20 * share, rel=0.1)
    assert dry.clutter.lost < 1


def test_the_first_picture_after_a_long_light_is_no_more_than_one_look_at_what_the_scene_does() -> None:
    rain = Rain(12)

    def storm(when: float, quiet: Picture) -> Picture:
        light = sky_light((60 if when % 0.24 < 0.12 else 100) if 2 <= when < 4.8 - 1e-6 else 0, rows=(0, 90))
        return quiet + light + (rain() if abs(when - 4.88) < 0.01 else 0)

    after, before = (watched(storm, seconds=seconds).change for seconds in (5.0, 4.88))
    assert after is not None
    assert before is not None
    assert after.least_blocks - before.least_blocks == pytest.approx(2 * 12 * 0.5 / 3, rel=0.1)


@pytest.mark.parametrize(("columns", "rain", "found"), [(45, 0, True), (45, DROPS, False), (55, DROPS, True)])
def test_a_light_must_be_larger_than_what_rain_may_do_by_chance(columns: int, rain: int, *, found: bool) -> None:
    light = lit((6.0, 6.04), light=patch(40, (20, 35), (100, 100 + columns)))  # 27 or 33 blocks, and 8 of rain
    assert starts(closed(calm(over(Rain(rain), light)))) == ([6.0] if found else [])


@pytest.mark.parametrize(("levels", "found"), [(45, True), (14, False)])
def test_what_a_downpour_darkens_is_excused_to_twice_the_usual_where_light_outshines_it(
    levels: float, *, found: bool
) -> None:
    light = lit((6.0, 6.04), light=patch(levels, (20, 40), (100, 150)))
    assert starts(closed(calm(over(Rain(), light, downpour=6.0)))) == ([6.0] if found else [])
    assert starts(closed(calm(light))) == [6.0]


def test_however_much_moves_no_more_than_five_times_the_smallest_light_is_asked_for() -> None:
    change = watched(over(Rain(60, top=10), still)).change
    assert change is not None
    assert change.least_blocks == pytest.approx(23 + 2 * 2 * 23 * (1 - np.exp(-7 / 3)), rel=0.05)
    flash = lit((6.0, 6.04), light=patch(180, (0, 25), (100, 155)))  # 55 blocks, and 60 of rain
    assert starts(closed(calm(over(Rain(60, top=10), flash)))) == [6.0]


def test_what_was_restless_before_a_cut_says_nothing_of_the_scene_after_it() -> None:
    light = lit((6.0, 6.04), light=patch(40, (20, 35), (100, 145)))
    rain = Rain()

    def until_the_cut(when: float, quiet: Picture) -> Picture:
        return light(when, quiet + rain() if when < 4.5 else quiet)

    assert starts(closed(marked(calm(until_the_cut), epoch=lambda frame: int(frame.seconds >= 4.5)))) == [6.0]
    assert starts(closed(calm(until_the_cut))) == []


class Traffic:
    """Dark and bright boxes on a road in the lower part of the picture, each at its own pace, all the time."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._cars = [
            (float(rng.choice([-35, -20, 60, 110])), float(rng.uniform(60, 200)) * float(rng.choice([-1, 1])),
             int(rng.integers(120, 158)), int(rng.integers(0, WIDTH)), int(rng.integers(15, 45)))
            for _ in range(9)
        ]  # fmt: skip

    def __call__(self, when: float) -> Picture:
        road = np.zeros((HEIGHT, WIDTH), np.float32)
        for levels, speed, top, start, length in self._cars:
            columns = (start + int(speed * when) + np.arange(length)) % WIDTH
            road[top : top + 14, columns] = levels
        return road


def verdicts(source: Iterator[Frame]) -> list[tuple[float, float, bool | None]]:
    """When each light was seen to start, when that was told, and what the verifier says of it."""
    watcher, verifier, told = prefilter(), PhotometricVerifier(load_settings().photometric), {}
    found = []
    for frame in source:
        for candidate in watcher.push(frame):
            if candidate.open:
                told[candidate.id] = frame.seconds
            else:
                found.append((candidate.start_seconds, told[candidate.id], verifier.verify([candidate])[0].lightning))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_flash_over_steady_traffic_is_found_in_time_and_confirmed_and_traffic_alone_never(seed: int) -> None:
    traffic = Traffic(seed)

    def street(levels: float) -> Iterator[Frame]:
        flash = lit((6.0, 6.12), light=sky_light(levels, rows=(0, 110)))
        return frames(lambda when, quiet: flash(when, quiet + traffic(when)), seconds=8, seed=seed, scene=land(40))

    for levels in (16, 45):
        assert [(start, told) for start, told, lightning in verdicts(street(levels)) if lightning] == [(6.0, 6.0)]
    assert not any(lightning for _, _, lightning in verdicts(street(0)))


class Insects:
    """Small bright soft spots that fly fast, three a second, each seen for up to four pictures."""

    def __init__(self, seed: int, *, until: float) -> None:
        rng = np.random.default_rng(seed)
        self._flights, start = [], 1.5
        while start < until:
            place = (float(rng.uniform(20, 120)), float(rng.uniform(20, 270)))
            speed = (float(rng.uniform(-400, 400)), float(rng.uniform(-900, 900)))
            self._flights.append((start, place, speed, float(rng.uniform(60, 140)), 0.04 * int(rng.integers(1, 5))))
            start += 0.04 + float(rng.exponential(1 / 3))

    def __call__(self, when: float) -> Picture:
        seen = np.zeros((HEIGHT, WIDTH), np.float32)
        for start, place, speed, levels, seconds in self._flights:
            since = when - start
            top, left = (int(where + pace * since) for where, pace in zip(place, speed, strict=True))
            if -1e-6 <= since < seconds and 0 <= top < HEIGHT - 24 and 0 <= left < WIDTH - 30:
                seen += sky_light(levels, rows=(top, top + 24), columns=(left, left + 30))
        return seen


@pytest.mark.parametrize("seed", range(2))
def test_where_insects_fly_none_is_confirmed_nor_a_compact_white_light_that_alone_would_pass(seed: int) -> None:
    insects, lamp = Insects(seed, until=12.0), lit((13.0, 13.04), light=patch(60, (20, 90), (40, 214)))
    assert [lightning for *_, lightning in verdicts(frames(lamp, seconds=14))] == [True]
    flown = verdicts(frames(lambda when, quiet: lamp(when, quiet + insects(when)), seconds=14, seed=seed))
    assert flown[-1][0] == 13.0
    assert len(flown) >= 5
    assert not any(lightning for *_, lightning in flown)


def test_a_storm_over_a_place_where_insects_fly_is_confirmed() -> None:
    insects, storm = Insects(0, until=12.0), lit((13.0, 13.08), light=sky_light(60))
    flown = verdicts(frames(lambda when, quiet: storm(when, quiet + insects(when)), seconds=14))
    assert [start for start, _, lightning in flown if lightning] == [13.0]
