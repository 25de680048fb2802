"""The feed's promises under kills, a freeze and many subscribers: the benchmark with shorter settings."""

from pathlib import Path

import pytest

from feed_bench.fanout import measure_fanout
from feed_bench.freeze import measure_freeze
from feed_bench.kills import measure_kills
from helpers.feed import free_endpoint

pytestmark = pytest.mark.soak


def test_kills_of_publisher_and_subscriber_lose_and_double_nothing(tmp_path: Path) -> None:
    result = measure_kills(tmp_path, free_endpoint(), kills=6, rate=200, seed=1)
    assert result.subscriber_kills >= 1
    assert result.committed >= 100
    assert result.holds, result


def test_a_frozen_subscriber_catches_up_and_the_publisher_does_not_grow(tmp_path: Path) -> None:
    result = measure_freeze(tmp_path, free_endpoint(), seconds=3, rate=500)
    assert result.behind >= 1000
    assert result.holds, result


def test_a_dead_subscriber_costs_the_others_nothing(tmp_path: Path) -> None:
    result = measure_fanout(tmp_path, free_endpoint(), subscribers=20, rate=50, seconds=2)
    # How fast depends on the machine and is the benchmark's affair: here, that everybody gets everything.
    assert result.received >= 0.95 * result.expected
