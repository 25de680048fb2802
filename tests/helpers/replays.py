"""What runs of `replay` left behind, in a form that can be compared."""

import json
from pathlib import Path
from typing import Any


def flashes_of(out: Path) -> list[dict[str, Any]]:
    """The flashes in the order of the file, without what only says how long something took."""
    found = [json.loads(line)["data"] for line in (out / "flashes.jsonl").read_text().splitlines()]
    for flash in found:
        del flash["latency_ms"], flash["verdict"]["seconds"]
    return found
