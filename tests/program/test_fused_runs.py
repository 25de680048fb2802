"""Whole runs of `--verifier fused` beside a model server, and what a model would be shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from detector.cli.main import main
from helpers.model_server import ModelServer
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 6 s with a flash that photometry is sure of."""
    path = tmp_path_factory.mktemp("fused") / "storm.mp4"
    flashes = (FlashPlan(kind="sheet", at=3.0),)
    write_clip(Scene(Plan(seconds=6.0, size=(320, 180), flashes=flashes)), path, ClipFormat(key_seconds=1.0))
    return path


def revisions(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line)["data"] for line in capfd.readouterr().out.splitlines()]


def test_auto_with_a_model_server_keeps_a_sure_verdict_and_adds_the_models_contrary_opinion(
    storm: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ModelServer(probability=0.05) as server:
        flags = ["--endpoint", server.endpoint, "--set", "cascade.confirm_above=0.6"]
        assert main(["replay", str(storm), "--json", *flags]) == 0
    detected, confirmed, disputed = revisions(capfd)
    assert (detected["state"], confirmed["state"], disputed["state"]) == ("detected", "confirmed", "confirmed")
    assert disputed["changed"] == ["verdict.opinions", "verdict.disputed"]
    assert [opinion["verifier"] for opinion in disputed["verdict"]["opinions"]] == ["photometric", "served"]


def test_where_photometry_is_not_sure_the_model_decides(storm: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with ModelServer(probability=0.05) as server:
        flags = ["--verifier", "fused", "--endpoint", server.endpoint, "--set", "cascade.confirm_above=1.0"]
        assert main(["replay", str(storm), "--json", *flags]) == 0
    states = [flash["state"] for flash in revisions(capfd)]
    assert states == ["detected", "rejected"]


def test_auto_goes_on_without_a_server_that_is_away(storm: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with ModelServer() as server:
        endpoint = server.endpoint
    assert main(["replay", str(storm), "--json", "--endpoint", endpoint, "--set", "served.retries=0"]) == 0
    said = capfd.readouterr()
    assert "photometric (auto: model server" in said.err
    assert '"state":"confirmed"' in said.out


def test_what_a_model_would_be_shown_is_written_to_look_at(storm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "look"
    assert main(["tune", str(storm), "--html", str(tmp_path / "x.html"), "--model-images", str(folder)]) == 0
    (question,) = folder.glob("*.txt")
    images = sorted(path.name for path in folder.glob("*.jpg"))
    assert any(name.endswith("-peak.jpg") for name in images)
    for number in range(len(images)):
        assert f"Image {number} " in question.read_text()


def test_a_run_keeps_what_the_model_saw_and_the_report_shows_it(
    storm: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with ModelServer(probability=0.9) as server:
        flags = ["--verifier", "fused", "--endpoint", server.endpoint, "--out", str(run)]
        assert main(["replay", str(storm), "--json", *flags]) == 0
    media = revisions(capfd)[-1]["media"]
    sheet = run / media["model"]
    assert sheet.read_bytes().startswith(b"\xff\xd8")
    page = (run / "report.html").read_text(encoding="utf-8")
    data = "".join(path.read_text(encoding="utf-8") for path in (run / "report-assets").glob("*.js"))
    assert sheet.name in page + data
    assert "What the model saw" in page + data
