"""Which folder may import which: decided by folder, held by a look at every import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import detector
import stream
from detector import lightning_detector
from helpers import ROOT

LAYERS = (
    {"errors", "settings", "events", "candidate", "placeholders"},
    {"prefilter", "storms"},
    {"verify", "output"},
    {"pipeline"},
    {"api"},
    {"run", "integrations", "evaluate"},
    {"cli"},
)
"""Folders and files of `detector`; each may import itself and what stands before it here."""
ANYWHERE = {"__init__", "__main__", "lightning_detector"}
LAZY = {"stream", "detector"}
"""Packages whose names load on first use: what they import is for type checkers only."""
MODEL_FOLDERS = ("detector/verify/vlm/local/", "detector/verify/vlm/server45/")


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """(module, name or None) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layers"
            yield from ((node.module or "", alias.name) for alias in node.names)


def layer_of(part: str) -> int | None:
    """The layer of a file or folder at the top of `detector`."""
    return next((number for number, parts in enumerate(LAYERS) if part in parts), None)


def modules(package: str) -> dict[str, Path]:
    """Every module of `package` by its dotted name."""
    found = {}
    for path in sources(package):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def who_import(names: set[str], *packages: str) -> set[str]:
    """The files of `packages` that import one of the modules `names`, or something below one."""
    return {
        named(path)
        for path in sources(*packages)
        if any(module == name or module.startswith(f"{name}.") for module, _ in imports(path) for name in names)
    }


def beyond(files: set[str], *allowed: str) -> set[str]:
    """Those of `files` that lie in no folder, and are no file, of `allowed`."""
    return {file for file in files if not file.startswith(allowed)}


def test_stream_knows_nothing_of_lightning_or_models() -> None:
    assert not who_import({"detector", "torch", "transformers"}, "stream")


def test_capture_knows_nothing_of_the_feed() -> None:
    assert not who_import({"stream.feed"}, "stream/capture")


def test_only_the_feed_imports_zeromq() -> None:
    assert not beyond(who_import({"zmq"}, "stream", "detector"), "stream/feed/")


def test_only_the_model_folders_import_torch_and_transformers() -> None:
    assert not beyond(who_import({"torch", "transformers"}, "stream", "detector"), *MODEL_FOLDERS)


def test_only_the_command_line_imports_argparse_and_progress_bars() -> None:
    assert not beyond(who_import({"argparse", "rich.progress", "rich.live"}, "stream", "detector"), "detector/cli/")


def test_only_one_file_imports_opencv_which_says_what_to_install_where_it_is_missing() -> None:
    assert who_import({"cv2"}, "stream", "detector") == {"stream/capture/opencv.py"}


def test_detector_uses_only_what_stream_exports() -> None:
    for path in sources("detector"):
        for module, name in imports(path):
            if module.split(".")[0] == "stream":
                assert module == "stream", f"{named(path)} imports {module}"
                assert name is None or name in stream.__all__, f"{named(path)} imports {name}"


def test_a_folder_imports_only_what_lies_below_it() -> None:
    for path in sources("detector"):
        part = path.relative_to(ROOT / "detector").parts[0].removesuffix(".py")
        own = layer_of(part)
        if part in ANYWHERE:
            continue
        assert own is not None, f"{part} is in no layer"
        for module, name in imports(path):
            words = module.split(".")
            other = (words[1] if len(words) > 1 else name or "") if words[0] == "detector" else ""
            reached = layer_of(other)
            below = reached is None or reached < own or other == part or own == reached == 0
            assert below, f"{named(path)} imports {module}, which is not below {part}"


def test_inside_detector_only_the_version_comes_from_the_package_itself() -> None:
    for path in sources("detector"):
        if path.relative_to(ROOT / "detector").parts[0].removesuffix(".py") != "lightning_detector":
            names = {name for module, name in imports(path) if module == "detector" and name is not None}
            assert not names - {"__version__"}, f"{named(path)} imports {names} by way of detector"


@pytest.mark.parametrize("package", sorted(LAZY))
def test_a_lazy_package_imports_our_modules_for_type_checkers_only(package: str) -> None:
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    at_run_time = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules_named = {getattr(node, "module", None) or alias.name for node in at_run_time for alias in node.names}
    assert modules_named <= {"importlib", "typing"}


@pytest.mark.parametrize("package", ["stream", "detector"])
def test_there_is_no_import_cycle(package: str) -> None:
    known = modules(package)
    graph = {
        name: {
            target
            for module, imported in (imports(path) if name not in LAZY else ())
            for target in (f"{module}.{imported}", module)
            if target in known and target != name
        }
        for name, path in known.items()
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*way, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_every_folder_says_in_one_sentence_what_lives_there() -> None:
    for package in ("stream", "detector"):
        for folder in (ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())):
            if any(folder.glob("*.py")):
                assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))), folder


@pytest.mark.parametrize("module", [stream, detector, lightning_detector])
def test_every_name_that_is_exported_is_there(module: ModuleType) -> None:
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        module.nonsense  # noqa: B018 - what it raises counts


def test_both_names_of_the_library_offer_the_same() -> None:
    assert set(lightning_detector.__all__) == {*detector.__all__, "Subscriber"}
    assert lightning_detector.find_flashes is detector.find_flashes
    assert set(detector.__all__) <= set(dir(detector))  # for completion at a prompt
    assert set(lightning_detector.__all__) <= set(dir(lightning_detector))


PROGRAM_ONLY = {"zmq", "rich", "argparse", "httpx", "sqlite3", "torch", "transformers"}


def loaded_by(program: str) -> set[str]:
    """The modules that `program` loads in a Python of its own."""
    words = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_the_library_loads_neither_the_feed_nor_the_command_line() -> None:
    loaded = loaded_by("from detector import Detector, Flash, Settings, Verdict, find_flashes, load_settings")
    assert "detector.api" in loaded
    assert not PROGRAM_ONLY & loaded


def test_importing_the_package_alone_loads_nothing_else_of_it() -> None:
    loaded = loaded_by("import detector")
    assert not {"stream", "msgspec", "numpy"} & loaded
    assert not {name for name in loaded if name.startswith("detector.")}


def test_importing_the_program_loads_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, detector.cli.main as m; [m.build_parser(name) for name in m.COMMANDS]; "
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
