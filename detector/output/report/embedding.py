"""Styles and scripts put into a page itself, under a content policy that names exactly them."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

ASSETS = Path(__file__).parent / "assets"
"""The front-end files that the report, the live page and `tune` share."""
_POLICY = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src {style}; script-src {script}"


@dataclass(frozen=True, slots=True)
class PageParts:
    """How a page gets its styles and scripts.

    Attributes:
        styles: elements of the page's head.
        scripts: elements of the page's end.
        policy: the content policy under which they work.
    """

    styles: tuple[Markup, ...]
    scripts: tuple[Markup, ...]
    policy: str


def embedded(styles: Sequence[Path], scripts: Sequence[Path]) -> PageParts:
    """Return our own files as elements that stand in the page itself; nothing else may run there."""
    return PageParts(
        tuple(Markup(f"<style>{_text(path)}</style>") for path in styles),  # noqa: S704 - our own files
        tuple(Markup(f"<script>{_text(path)}</script>") for path in scripts),  # noqa: S704
        _POLICY.format(style=_hashes(styles), script=_hashes(scripts)),
    )


def linked(styles: Sequence[Path], scripts: Sequence[Path], folder: str) -> PageParts:
    """Return elements that name copies of our own files in `folder` beside the page."""
    return PageParts(
        tuple(Markup(f'<link rel="stylesheet" href="{folder}/{path.name}">') for path in styles),  # noqa: S704
        tuple(Markup(f'<script src="{folder}/{path.name}"></script>') for path in scripts),  # noqa: S704
        _POLICY.format(style="'self'", script="'self'"),
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _hashes(paths: Sequence[Path]) -> str:
    digests = (base64.b64encode(hashlib.sha256(_text(path).encode()).digest()).decode() for path in paths)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
