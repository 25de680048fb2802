"""axe-core in a page: what people with other senses cannot use."""

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.chromium import Page


def axe_source(folder: Path) -> str:
    """The source of axe-core, fetched into `folder`; the test is skipped where that is impossible."""
    if shutil.which("npm") is None:
        pytest.skip("no npm to fetch axe-core with")
    words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    if subprocess.run([*words, "axe-core@4"], check=False, capture_output=True, timeout=100).returncode:
        pytest.skip("axe-core cannot be fetched")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def serious_violations(page: Page, axe: str) -> list[str]:
    """What axe-core finds in a page as it is now, serious or worse."""
    page.run(axe + "; 0")
    found = page.run(
        "axe.run({preload: false}).then(r => r.violations.map("
        "v => `${v.impact} ${v.id}: ${v.nodes.map(n => n.html).slice(0, 2)}`))"
    )
    return [one for one in found if one.startswith(("serious", "critical"))]
