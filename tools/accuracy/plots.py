"""Two plots: recall against strength, false alarms per hour by look-alike."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np

from accuracy.trial import FlashResult, Trial

mpl.use("Agg")  # without a screen
import matplotlib.pyplot as plt


def draw_recall(flashes: Sequence[FlashResult], path: Path) -> None:
    """Plot recall of candidates and of confirmed flashes against strength, with 95 % (Wilson) bounds."""
    edges = np.geomspace(0.5, 100, 16)
    figure, axes = plt.subplots(figsize=(8, 5))
    for name, chosen in (("found", "found"), ("confirmed", "confirmed")):
        middle, share, low, high = [], [], [], []
        for left, right in pairwise(edges):
            said = [getattr(one, chosen) for one in flashes if left <= one.strength < right]
            if said:
                bounds = _wilson(sum(said), len(said))
                middle.append(np.sqrt(left * right))
                share.append(np.mean(said))
                low.append(max(0.0, share[-1] - bounds[0]))
                high.append(max(0.0, bounds[1] - share[-1]))
        axes.errorbar(middle, share, yerr=(low, high), marker="o", capsize=3, label=name)
    axes.axvline(5, color="grey", linestyle=":")
    axes.set(
        xscale="log", ylim=(-0.02, 1.04), xlabel="rise over block noise, reached by 1 % of the frame", ylabel="recall"
    )
    axes.set_title(f"Recall of {len(flashes)} made flashes")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def draw_alarms(trials: Sequence[Trial], path: Path) -> None:
    """Plot false alarms per camera-hour, candidates and confirmed, by look-alike."""
    labels = sorted({trial.case.label for trial in trials})
    figure, axes = plt.subplots(figsize=(8, 5))
    place = np.arange(len(labels))
    for side, confirmed in ((-0.2, False), (0.2, True)):
        rates = []
        for label in labels:
            some = [trial for trial in trials if trial.case.label == label]
            count = sum(alarm.confirmed or not confirmed for trial in some for alarm in trial.alarms)
            rates.append(count / max(1e-9, sum(trial.seconds for trial in some) / 3600))
        axes.barh(place + side, rates, height=0.4, label="confirmed" if confirmed else "candidates")
    axes.set_yticks(place, labels)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("false alarms per camera-hour")
    hours = sum(trial.seconds for trial in trials) / 3600
    axes.set_title(f"{hours:.1f} camera-hours of made scenes without lightning")
    axes.grid(alpha=0.3, axis="x")
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    share = hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return float(middle - half), float(middle + half)
