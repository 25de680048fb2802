"""The imports of a snapshot's own code, read from its text, so that missing ones are known before it is loaded."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detector.errors import VerifierError
from detector.verify.vlm.server45.trust import auto_map


@dataclass(frozen=True, slots=True)
class Need:
    """A package that a file imports, and where: `at_import` if loading the file runs that line."""

    package: str
    file: str
    line: int
    at_import: bool


def needs(snapshot: Path) -> list[Need]:
    """Return every external package that the snapshot's classes need for loading, with its first place.

    The rules are those of transformers 4.51 to 4.57: an import inside a function counts, so a file that uses flash_attn
    only there cannot be loaded without it; one inside `try`, or under an `if is_..._available()`, does not count.

    Raises:
        VerifierError: a file is not Python.
    """
    found: dict[str, Need] = {}
    for file in loaded_files(snapshot):
        for need in _outside(_tree(snapshot, file), file):
            first = found.get(need.package)
            if first is None or (need.at_import and not first.at_import):
                found[need.package] = need
    return list(found.values())


def loaded_files(snapshot: Path) -> list[str]:
    """Return the Python files, by name, that loading the model, tokenizer and processor can reach.

    These are the files that auto_map names, those of the processors (in case auto_map omits them), and their imports.
    """
    named = [f"{where.split('.')[0]}.py" for where in auto_map(snapshot).values()]
    own = [path.name for path in sorted(snapshot.glob("*process*.py"))]
    waiting = [name for name in dict.fromkeys([*named, *own]) if (snapshot / name).is_file()]
    reached: list[str] = []
    while waiting:
        file = waiting.pop(0)
        if file not in reached:
            reached.append(file)
            waiting += [name for name in _siblings(_tree(snapshot, file)) if (snapshot / name).is_file()]
    return reached


def classes_of(snapshot: Path, base: str) -> list[str]:
    """Return classes in the snapshot's reachable files that derive from one named `base`, as `module.Class`."""
    return [
        f"{PurePosixPath(file).stem}.{node.name}"
        for file in loaded_files(snapshot)
        for node in _tree(snapshot, file).body
        if isinstance(node, ast.ClassDef) and any(_last_name(one) == base for one in node.bases)
    ]


def _outside(tree: ast.Module, file: str) -> Iterator[Need]:
    yield from _walk(tree, file, at_import=True)


def _walk(node: ast.AST, file: str, *, at_import: bool) -> Iterator[Need]:
    if isinstance(node, ast.Try) or (isinstance(node, ast.If) and _asks_whether_available(node.test)):
        return
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        names = [node.module]
    for name in names:
        package = name.split(".")[0]
        if package not in sys.stdlib_module_names:
            yield Need(package, file, getattr(node, "lineno", 0), at_import)
    inside = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, file, at_import=inside)


def _asks_whether_available(test: ast.expr) -> bool:
    calls = [node for node in ast.walk(test) if isinstance(node, ast.Call)]
    names = [_last_name(call.func) for call in calls]
    return any(
        name.startswith("is_flash_attn") or (name.startswith("is_") and name.endswith("_available")) for name in names
    )


def _siblings(tree: ast.Module) -> list[str]:
    """Return the files in the same folder that a file imports by a relative import."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [node.module] if node.module else [alias.name for alias in node.names]
    return [f"{name.split('.')[0]}.py" for name in names]


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _tree(snapshot: Path, file: str) -> ast.Module:
    try:
        return ast.parse((snapshot / file).read_bytes(), filename=file)
    except (SyntaxError, ValueError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise VerifierError(
            f"{snapshot / file}{line}: not Python ({error.args[0]}); the snapshot is damaged, fetch it again"
        ) from error
    except OSError as error:
        raise VerifierError(f"{snapshot / file}: cannot be read: {error.strerror}") from error
