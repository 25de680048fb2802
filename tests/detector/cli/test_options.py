"""Flags are laid over the settings in one place, and what is not given changes nothing."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from detector.cli.main import build_parser
from detector.cli.options import (
    lay_serve_45_arguments,
    lay_verifier_arguments,
    publish_options,
    settings_of,
    settings_tables,
)
from detector.errors import SettingsError
from detector.settings import Settings
from stream import FeedOptions


def parsed(*words: str) -> argparse.Namespace:
    return build_parser(words[0]).parse_args(words)


def test_without_flags_the_settings_are_the_defaults() -> None:
    replay, serve = parsed("replay", "storm.mp4"), parsed("serve-45")
    assert settings_of(replay) == Settings()
    assert lay_verifier_arguments(Settings(), replay, {}) == Settings()
    assert lay_serve_45_arguments(Settings(), serve, {}) == Settings()
    assert publish_options(Settings(), replay) == FeedOptions(site=Settings().feed.site)


def test_set_wins_over_config_and_a_flag_over_both(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[verifier]\nkind = "none"\n[prefilter]\ngap_seconds = 0.3\nstep_seconds = 0.1\n')
    words = ["--config", str(file), "--set", "prefilter.gap_seconds=0.4", "--verifier", "photometric"]
    arguments = parsed("replay", "storm.mp4", *words)
    assert [origin for origin, _ in settings_tables(arguments)] == [str(file), "--set prefilter.gap_seconds=0.4"]
    settings = lay_verifier_arguments(settings_of(arguments), arguments, {})
    assert (settings.prefilter.gap_seconds, settings.prefilter.step_seconds) == (0.4, 0.1)
    assert settings.verifier.kind == "photometric"


@pytest.mark.parametrize(
    ("words", "section", "changed"),
    [
        (["--model", "a/b"], "minicpm", {"model": "a/b"}),
        (["--model-revision", "c" * 40], "minicpm", {"revision": "c" * 40}),
        (["--attn", "eager"], "minicpm", {"attention": "eager"}),
        (["--verifier", "served", "--model", "a/b"], "served", {"model": "a/b"}),
        (["--verifier", "served", "--endpoint", "http://h/v1"], "served", {"endpoint": "http://h/v1"}),
        (["--endpoint", "http://h/v1", "--model", "a/b"], "served", {"endpoint": "http://h/v1", "model": "a/b"}),
    ],
)
def test_each_flag_of_the_verifier_changes_its_setting(words: list[str], section: str, changed: dict[str, Any]) -> None:
    settings = lay_verifier_arguments(Settings(), parsed("replay", "storm.mp4", *words), {})
    assert {key: getattr(getattr(settings, section), key) for key in changed} == changed


def test_a_server_that_nobody_would_ask_is_refused() -> None:
    arguments = parsed("replay", "storm.mp4", "--endpoint", "http://h/v1", "--verifier", "minicpm")
    with pytest.raises(SettingsError, match="--endpoint: the verifier is minicpm, which asks no server"):
        lay_verifier_arguments(Settings(), arguments, {})


def test_a_model_for_serve_45_is_no_model_for_the_verifier() -> None:
    arguments = parsed("serve-45", "--model", "a/b", "--port", "0", "--edge")
    settings = lay_serve_45_arguments(Settings(), arguments, {"MINICPM_REVISION": "d" * 40})
    asked = settings.minicpm45
    assert (asked.model, asked.port, asked.channel, asked.revision) == ("a/b", 0, "edge", "d" * 40)
    assert settings.minicpm == Settings().minicpm


def test_watch_publishes_by_itself_and_replay_only_when_told() -> None:
    watch = parsed("watch", "rtsp://127.0.0.1/cam", "--journal", "events.db")
    assert publish_options(Settings(), watch).endpoint == Settings().feed.endpoint
    assert publish_options(Settings(), watch).journal == Path("events.db")
    nowhere = parsed("watch", "rtsp://127.0.0.1/cam", "--publish", "none")
    assert publish_options(Settings(), nowhere).endpoint is None
    told = parsed("replay", "storm.mp4", "--publish", "tcp://127.0.0.1:5999", "--keys", "keys", "--insecure")
    options = publish_options(Settings(), told)
    assert (options.endpoint, options.keys, options.insecure) == ("tcp://127.0.0.1:5999", Path("keys"), True)
