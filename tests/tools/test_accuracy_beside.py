"""Made scenes with lights at the same time."""

import pytest

from accuracy.beside import COMPACT, beside_cases, try_beside


def test_there_are_as_many_scenes_of_each_kind_and_a_seed_gives_the_same_again() -> None:
    cases = list(beside_cases(2, 3))
    assert [case.about for case in cases] == [kind for kind in (*COMPACT, "cells", "veil") for _ in range(2)]
    assert cases == list(beside_cases(2, 3))
    assert len({case.plan.seed for case in cases if case.about != "veil"}) == 8


@pytest.mark.parametrize("about", ["cells", "veil"])
def test_two_cells_are_told_apart_and_under_a_veil_every_pulse_is_there(about: str) -> None:
    case = next(case for case in beside_cases(1, 5) if case.about == about)
    result = try_beside(case)
    assert result.right, result.reports
    assert len(result.reports) == (2 if about == "cells" else 1)
