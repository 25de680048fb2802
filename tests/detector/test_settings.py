"""Settings: one place for each default, and nothing wrong is taken silently."""

from pathlib import Path

import pytest

from detector.cli import main as cli
from detector.errors import SettingsError
from detector.settings import load_settings, parse_override, read_table


def test_the_shipped_file_alone_is_complete() -> None:
    assert load_settings().prefilter.gap_seconds == 0.5


def test_a_later_table_wins_over_an_earlier_one_and_leaves_the_rest() -> None:
    settings = load_settings([("a", {"prefilter": {"gap_seconds": 0.4}}), ("b", {"prefilter": {"gap_seconds": 0.3}})])
    assert settings.prefilter.gap_seconds == 0.3
    assert settings.feed == load_settings().feed


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("prefilter.gap_seconds=-1", ["prefilter.gap_seconds", "-1", "> 0"]),
        ("prefilter.gap=1", ["unknown setting 'prefilter.gap'"]),
        ("prefiler.gap_seconds=1", ["unknown setting 'prefiler'"]),
        ("verifier.kind=guess", ["verifier.kind", "'guess'", "one of", "photometric"]),
        ("prefilter.gap_seconds=long", ["prefilter.gap_seconds", "'long'"]),
        ("feed.site=Roof North", ["feed.site", "'Roof North'", "expected 1 to 32 of a-z, 0-9 and '-'"]),
        ("gap_seconds=1", ["section.key=value"]),
        ("prefilter.gap_seconds", ["section.key=value"]),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key_its_value_and_what_is_allowed(override: str, said: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings([("--set", parse_override(override))])
    for words in said:
        assert words in str(refused.value)


def test_the_file_that_lists_every_setting_is_named_by_where_it_lies(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings([("--set", parse_override("prefilter.gap=1"))])
    place = str(refused.value).split("; ")[1].removesuffix(" lists every setting")
    assert Path(place).is_absolute()
    assert "min_rise_levels" in Path(place).read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        cli.main(["tune", "--help"])
    assert place in "".join(capsys.readouterr().out.split())


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("prefilter = = 3")
    with pytest.raises(SettingsError, match=r"my\.toml: not a TOML file"):
        read_table(file)
    with pytest.raises(SettingsError, match=r"none\.toml: cannot read"):
        read_table(tmp_path / "none.toml")
