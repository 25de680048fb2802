"""`make quick`: which tests are those of a folder or of a change."""

import pytest

import quick
from helpers import ROOT


@pytest.mark.parametrize(
    ("paths", "tests"),
    [
        (["stream/feed"], ["tests/stream/feed"]),
        (["stream/feed/"], ["tests/stream/feed"]),
        (["stream/feed/gateway/server.py"], ["tests/stream/feed/gateway"]),
        (["stream/feed/journal.py", "stream/feed/gateway/link.py"], ["tests/stream/feed"]),
        (["detector/prefilter/onset.py", "docs/feed.md"], ["tests/detector/prefilter", quick.DOCS]),
        (["tests/stream/feed/test_journal.py"], ["tests/stream/feed/test_journal.py"]),
        (["tests/helpers/feed.py", "pyproject.toml", "gone/away.py"], []),
        (["tools/quick.py"], ["tests/tools"]),
    ],
)
def test_a_change_is_tested_by_the_tests_of_its_folder_and_the_rules_of_imports(
    paths: list[str], tests: list[str]
) -> None:
    assert quick.tests_of(paths) == sorted([*tests, quick.ALWAYS])


def test_what_it_always_runs_is_there() -> None:
    for path in (quick.ALWAYS, quick.DOCS):
        assert (ROOT / path).is_file()
