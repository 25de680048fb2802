"""What the documentation tells a reader to type or to open is there.

Command lines are parsed, not run; a command without arguments is only named. A line that ends in `# not checked` is
left out.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import detector
from detector.cli.commands import COMMANDS
from detector.cli.main import build_parser
from detector.settings import load_settings
from helpers import ROOT
from helpers.pages import HISTORY, PAGES, PROGRAM, TODAY, commands_of, title, typed

FLAG = re.compile(r"--[a-z][a-z0-9-]*")


@pytest.mark.parametrize(("page", "line"), sorted(set(typed())))
def test_a_command_line_of_the_pages_is_understood(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)
    assert words[0] in COMMANDS, f"{page}: there is no command {words[0]}"
    left_with = 0
    try:
        build_parser(words[0]).parse_args(words)
    except SystemExit as end:
        left_with = int(end.code or 0)
    assert left_with == 0, f"{page}: {PROGRAM} {line}: {capsys.readouterr().err}"


def test_the_readme_shows_every_kind_of_command_that_is_checked_here() -> None:
    shown = {line.split()[0] for page, line in typed() if page == "README.md"}
    assert {"replay", "watch", "subscribe", "pull", "report"} <= shown


def test_every_make_target_of_the_pages_is_in_the_makefile() -> None:
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9.-]+):", made, re.MULTILINE))
    for page in TODAY:
        for program, *rest in commands_of(page):
            for word in rest if program == "make" else ():
                assert word in targets or "=" in word or word == "TARGET", f"{title(page)}: make {word}"


def tools_shown() -> dict[tuple[str, ...], set[tuple[str, str]]]:
    """The tools of the pages, with the mode that comes before their flags: (page, flag) of each."""
    shown: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    for page in TODAY:
        for words in commands_of(page):
            found = next((word for word in words[:2] if re.fullmatch(r"(\./)?tools/(\w+\.(py|sh)|bench)", word)), None)
            if found is not None:
                rest = words[words.index(found) + 1 :]
                modes = rest[: 2 if rest[:1] == ["feed"] else 1] if found == "tools/bench" else []
                modes = [mode for mode in modes if mode != "NAME" and not FLAG.match(mode)]
                flags = {word.partition("=")[0] for word in rest if FLAG.match(word)}
                shown.setdefault((found, *modes), set()).update((title(page), flag) for flag in flags)
    return shown


@pytest.mark.parametrize("tool", sorted(tools_shown()))
def test_every_tool_of_the_pages_is_there_and_has_the_flags_that_are_shown(tool: tuple[str, ...]) -> None:
    assert (ROOT / tool[0]).exists()
    shown = {(page, flag) for page, flag in tools_shown()[tool] if flag not in {"--json", "--note"} or len(tool) == 1}
    if not shown or tool[0].endswith(".sh"):
        return
    if tool[-1].startswith("model"):
        pytest.importorskip("torch", reason="the extra minicpm is not installed")
    words = [sys.executable, str(ROOT / tool[0]), *tool[1:], "--help"]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=110, cwd=ROOT)
    flags = set(FLAG.findall(told.stdout))
    assert not {one for one in shown if one[1] not in flags}


def heading_address(heading: str) -> str:
    """The part after `#` under which GitHub shows `heading`."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, place = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: there is no such file"
        if place:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in map(heading_address, headings), f"{link}: there is no such heading"


def test_every_file_of_ours_that_the_pages_name_is_there() -> None:
    for page in TODAY:
        for name in re.findall(
            r"`((?:detector|stream|tests|tools|configs|deploy)/[a-z0-9_./-]+)`", page.read_text("utf-8")
        ):
            assert (ROOT / name).exists(), f"{title(page)}: {name}"


def test_every_setting_that_the_pages_name_exists() -> None:
    known = msgspec.to_builtins(load_settings())
    sections = "|".join(known)
    for page in TODAY:
        for section, key in re.findall(rf"`({sections})\.([a-z_]+)`", page.read_text("utf-8")):
            is_file = key in ("toml", "py", "json", "db", "md")
            assert is_file or key in known[section], f"{title(page)}: {section}.{key}"


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert 300 <= len(text.split()) <= 800


def test_the_changelog_has_each_heading_once_in_each_version() -> None:
    for version in HISTORY.read_text(encoding="utf-8").split("\n## ")[1:]:
        headings = re.findall(r"^### (.*)$", version, re.MULTILINE)
        assert len(headings) == len(set(headings)), f"{version.splitlines()[0]}: {headings}"


def test_the_citation_names_the_version_of_the_program() -> None:
    assert f"version: {detector.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
