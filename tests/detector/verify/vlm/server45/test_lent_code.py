"""The serving process runs in the second environment: what it imports of this program must be at home there."""

import ast
import sys

from helpers import ROOT

ENTRY = "detector.verify.vlm.server45.serve"
AT_HOME = {"PIL", "msgspec", "numpy", "torch", "transformers"}


def imported_by(module: str) -> set[str]:
    """What a module of ours imports, and the packages that it lies in."""
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.is_file() else path.with_suffix("") / "__init__.py"
    names = {module.rpartition(".")[0]}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names - {""}


def test_the_serving_process_imports_nothing_that_its_environment_lacks() -> None:
    seen: set[str] = set()
    waiting, foreign = {ENTRY}, set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for name in imported_by(module):
            package = name.partition(".")[0]
            if package == "detector":
                waiting |= {name} - seen
            elif package not in sys.stdlib_module_names:
                foreign.add(package)
    assert foreign <= AT_HOME
    assert "detector.verify.batch_queue" in seen, "both sides batch with one queue"
