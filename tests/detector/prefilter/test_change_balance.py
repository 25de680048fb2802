"""How much of a change is added light, and how much of what got darker the scene would have darkened anyway."""

import pytest

from detector.prefilter.change_balance import NO_CHANGE, ChangeBalance

TRAFFIC = ChangeBalance(100, 100)


def test_positivity_is_the_share_of_what_got_brighter_in_all_that_changed() -> None:
    assert ChangeBalance(90, 10).positivity() == pytest.approx(0.9)
    assert ChangeBalance(0, 50).positivity() == 0
    assert NO_CHANGE.positivity() == 0


@pytest.mark.parametrize(
    ("gained", "excused"),
    [
        pytest.param(100, 0, id="as much as always"),
        pytest.param(195, 0, id="twice as much comes by chance"),
        pytest.param(250, 50, id="the more it outshines the scene, the more is excused"),
        pytest.param(300, 100, id="thrice as much is light"),
        pytest.param(9000, 100, id="no more is excused than the scene darkens by itself"),
    ],
)
def test_what_a_scene_darkens_anyway_is_excused_only_where_light_outshines_what_it_brightens_anyway(
    gained: float, excused: float
) -> None:
    assert ChangeBalance(gained, 150).beyond(TRAFFIC).positivity() == pytest.approx(gained / (gained + 150 - excused))


def test_a_scene_that_darkens_less_than_it_usually_does_is_all_light_and_no_more_than_that() -> None:
    assert ChangeBalance(500, 40).beyond(TRAFFIC).positivity() == 1
    assert ChangeBalance(0, 40).beyond(TRAFFIC).positivity() == 0


def test_nothing_is_excused_in_a_still_scene() -> None:
    assert ChangeBalance(90, 10).beyond(NO_CHANGE).positivity() == ChangeBalance(90, 10).positivity()


def test_changes_add_up_and_are_averaged_side_by_side() -> None:
    assert ChangeBalance(3, 1) + ChangeBalance(4, 2) == ChangeBalance(7, 3)
    assert ChangeBalance(4, 2) - ChangeBalance(3, 0.5) == ChangeBalance(1, 1.5)
    assert ChangeBalance(4, 2) * 0.5 == ChangeBalance(2, 1)
