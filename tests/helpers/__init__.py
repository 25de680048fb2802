"""What tests share: made clips and candidates, real servers to talk to, and waiting with a limit."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout's folder."""
