"""Rank: how much there is to see of a flash, for whoever shows the best stills first."""

CHANNEL_LEVELS = 45.0
"""A still shows a channel if its best 0.4 % of pixels stand out from their surroundings by this many levels."""


def rank_of(structure: float, rise_levels: float, lit_fraction: float) -> float:
    """Return how much there is to see, 0..1: first a channel, then strength, then area.

    A channel that just stands out counts as much as a light of 180 levels, and a frame that is lit all over as much as
    one of 32: a person looks for the channel first, and for a lit sky last.

    Args:
        structure: how far thin bright lines stand out in the clearest frame, levels.
        rise_levels: rise of the brightest block, levels.
        lit_fraction: share of the blocks lit in the largest frame, 0..1.
    """
    seen = structure + rise_levels / 4 + 8 * lit_fraction
    return round(seen / (seen + CHANNEL_LEVELS), 4)
