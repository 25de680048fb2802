"""Settings: one place for each default, and nothing wrong is taken silently."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from default_settings import default_toml, field_texts
from detector.cli import main as cli
from detector.errors import SettingsError
from detector.settings import DEFAULT_SETTINGS, Settings, load_settings, parse_override, read_table

KEYS = {
    "capture": "transport stream open_seconds stall_seconds retry_first_seconds retry_quick_seconds retry_slow_seconds "
    "retry_refused_seconds reorder_packets reorder_seconds jump_seconds backlog_seconds late_seconds "
    "latency_allowance_ms times offset_seconds host_clock_error_ms frame_limit_mb "
    "file_threads live_threads fast hwaccel max_failed_fraction max_pixels history_megabytes sound tls_verify "
    "tls_ca_file",
    "prefilter": "gap_seconds step_seconds min_rise_levels noise_factor swing_factor min_lit_fraction min_positivity "
    "min_fine_positivity noise_memory_seconds warm_up_seconds max_candidate_seconds",
    "verifier": "kind",
    "photometric": "threshold damaged_threshold",
    "batcher": "batch_size batch_wait_ms largest_batch deadline_seconds stuck_seconds waiting_limit "
    "picture_side_pixels",
    "question": "prompt pictures crop temperature bias calibrated_for threshold min_answer_mass",
    "minicpm": "model revision channel device precision attention downsample_mode picture_side_pixels threads "
    "load_limit_seconds answer_limit_seconds",
    "minicpm45": "model revision channel environment device precision attention threads pack_frames host port "
    "key_variable batch_size batch_wait_ms waiting_limit request_limit_mb pictures_limit answer_limit_seconds",
    "served": "endpoint model key_variable concurrency timeout_seconds retries answer_limit_mb extra_json",
    "cascade": "reject_below confirm_above",
    "fused": "photometric_weight model_weight bias calibrated_for threshold",
    "evidence": "clips reencode_hevc before_seconds after_seconds keep_days keep_megabytes curve_megabytes",
    "site": "latitude longitude timezone",
    "feed": "site heartbeat_seconds endpoint journal keep_days keep_megabytes keys send_queue_messages "
    "requests_per_second max_connections farewell_seconds",
    "storm": "begin_count begin_minutes quiet_minutes count_unverified",
    "mqtt": "prefix discovery_prefix version",
    "notify": "on cooldown_seconds messages_per_hour quiet_hours camera_down_seconds site_down_seconds disk_low_mb",
    "page": "listen token_variable hosts key snapshot_seconds snapshot_side_pixels",
}
"""What users write into their settings files. Add a key freely; a change or removal breaks those files."""


def test_the_keys_that_users_write_are_these() -> None:
    table = msgspec.to_builtins(Settings())
    assert {section: " ".join(values) for section, values in table.items()} == KEYS


def test_the_file_that_lists_the_defaults_follows_from_the_code() -> None:
    advice = "bring it up to date: python tools/default_settings.py > configs/default.toml"
    assert DEFAULT_SETTINGS.read_text(encoding="utf-8") == default_toml(), advice
    assert load_settings([("default.toml", read_table(DEFAULT_SETTINGS))]) == Settings()


def test_every_setting_is_explained_in_that_file_or_by_the_line_above_it() -> None:
    for section in msgspec.structs.fields(Settings):
        kind = type(getattr(Settings(), section.name))
        assert msgspec.structs.fields(kind)[0].name in field_texts(kind), section.name


def test_the_defaults_need_no_file() -> None:
    program = (
        "import pathlib; pathlib.Path.open = pathlib.Path.read_text = None\n"
        "from detector.settings import Settings, load_settings\n"
        "print(load_settings() == Settings(), Settings().prefilter.gap_seconds)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "True 0.5\n"


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


def test_settings_that_belong_together_may_be_given_one_by_one() -> None:
    one, other = parse_override("site.latitude=48.2"), parse_override("site.longitude=16.37")
    site = load_settings([("--set site.latitude=48.2", one), ("--set site.longitude=16.37", other)]).site
    assert (site.latitude, site.longitude) == (48.2, 16.37)
    with pytest.raises(SettingsError, match=r"--set site.latitude=48.2: .*belong together"):
        load_settings(
            [("--set site.latitude=48.2", one), ("--set capture.stream=1", parse_override("capture.stream=1"))]
        )
