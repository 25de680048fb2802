"""Installed packages that offer verifiers, as far as Python's own metadata is concerned."""

from pathlib import Path


def offer_verifiers(folder: Path, **modules: str) -> Path:
    """Write a package into `folder` that offers each name as the object `module:attribute`; for the import path."""
    info = folder / "storm_verifiers-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: storm-verifiers\nVersion: 1.2\n")
    lines = [f"{name.replace('_', '-')} = {target}" for name, target in modules.items()]
    (info / "entry_points.txt").write_text("\n".join(["[lightning_detector.verifiers]", *lines, ""]))
    return folder
