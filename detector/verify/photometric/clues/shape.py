"""Clues in the place and size of the light, and in its surroundings in space and in the minutes before."""

import numpy as np

from detector.verify.photometric.clue import clue
from detector.verify.photometric.clues.colour import colourless, grey, tint, warmth
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.fireworks import SWARM_POINT_SOURCES
from detector.verify.photometric.sky import share_in_sky

# Lightning is hotter than any lamp, so the light it adds is bluer than a camera's white; colour is noisy where a small
# light is coded, and insects in white light are found up to this warmth.
_BLUISH = -0.025
# Cars are in the lowest quarter of most views. Far storms may be as low where a camera watches the sky: there they
# are known by being bluer than any headlights.
_LOW, _BLUE = 0.75, -0.05
# Light of which a tenth extends over more of the frame than this has a glow, even if an insect's streak is long.
_GLOWING_EXTENT = 0.2
# A scene of which a quarter is brighter than half of full scale, in colour, is lit by day; infra-red lamps give none.
_DAYLIGHT, _DAYLIGHT_SHARE = 128.0, 0.25
# A camera or an editor that puts nearly the whole scene at the black of video, without any noise, cuts off what is
# fainter than that.
_CRUSHED, _CRUSHED_SHARE = 0.0, 0.9
# Share of the frame: a light so large is no storm behind the horizon.
_NEAR = 0.05


@clue(
    "smoothness",
    meaning="how much of the light is left when it is looked at coarsely",
    doubt="it is small and sharp",
    against=0.1,
    clear=0.25,
    cost=4.0,
)
def smoothness(features: CandidateFeatures) -> float | None:
    """Return the share of the rise left after smoothing: a sky lights up widely, lamps and insects are small and sharp.

    None for large lights: a channel is sharp too, but the cloud around it glows.
    """
    if features.at_peak is None or features.candidate.lit_fraction > 0.06:
        return None
    return features.at_peak.smoothness(features.candidate.lit_map)


@clue(
    "specks",
    meaning="separate points that shine by themselves",
    doubt="it is a swarm of sparks, as of fireworks",
    against=SWARM_POINT_SOURCES,
    clear=12.0,
    cost=4.0,
)
def point_sources(features: CandidateFeatures) -> float | None:
    """Return the number of separate light sources: a firework is a swarm of burning sparks.

    A stroke is one line with its branches, and cloud and land shine only by its light, smoothly. The most of: onset,
    peak, half decay (the glare that hid them has gone), and right after it, where they burn on. Glints on water come
    and go anyway, so the typical change's points are subtracted from those after the light.
    """
    shining = (features.at_onset, features.at_peak, features.at_half_decay, features.at_rest)
    counts = [float(change.point_sources()) for change in shining if change is not None]
    after, quiet = features.after, features.typical_change(features.candidate.after)
    if after is not None and quiet is not None:
        counts.append(float(after.point_sources() - quiet.point_sources()))
    return max(counts, default=None)


@clue(
    "show",
    meaning="swarms of sparks among the lights of the last five minutes, where half of them are",
    doubt="there were fireworks right before it",
    against=3.0,
    clear=1.0,
    cost=4.0,
)
def recent_fireworks(features: CandidateFeatures) -> float | None:
    """Return how many lights of the last minutes were swarms of sparks, where hardly anything else shone.

    The next one is a firework too, though a glare hides its sparks: a storm seldom comes into the middle of a show.
    """
    return features.swarms_before


@clue(
    "company",
    meaning="lights of the last minute that shone alone or roamed, as insects do",
    doubt="lights as of insects came before it",
    against=3.0,
    clear=1.0,
    cost=4.0,
)
def recent_clutter(features: CandidateFeatures) -> float | None:
    """Return how many lights of the last minute had no glow or moved: where insects fly, the next light is one, too.

    None for a light whose glow extends far, or if `glow_extent` is None.
    """
    extent = glow_extent(features)
    return None if extent is None or extent > _GLOWING_EXTENT else float(features.candidate.context.recent_clutter)


@clue(
    "height",
    meaning="where its centre is: 0 top, 1 bottom",
    doubt="it is low in the frame",
    against=0.88,
    clear=0.76,
    cost=4.0,
)
def vertical_position(features: CandidateFeatures) -> float | None:
    """Return where the light's centre is, 0 = top, 1 = bottom: lightning is in the sky, lamps and cars on the ground.

    None for large lights, of which a rolling shutter may show the lower part alone, and for light bluer than
    headlights: the horizon may be that low.
    """
    if features.candidate.lit_fraction >= 0.35 or tint(features) < _BLUE:
        return None
    return features.candidate.centroid[1]


@clue(
    "lamplight",
    meaning="warmth of a light near the lower edge",
    doubt="it is low and not bluish",
    against=0.03,
    clear=-0.02,
    cost=4.0,
    favour=1.0,
)
def low_and_warm(features: CandidateFeatures) -> float | None:
    """Return the warmth of a light near the lower edge: headlights are no bluer than the scene, a low storm is.

    A grey frame (0) leaves it open, and so counts by half.
    """
    position = vertical_position(features)
    return warmth(features) if position is not None and position > _LOW else None


@clue(
    "reach",
    meaning="share of the frame that rises by a tenth of the brightest place or more",
    doubt="nothing about it glows",
    against=0.12,
    clear=0.16,
    cost=5.0,
)
def glow_extent(features: CandidateFeatures) -> float | None:
    """Return the share of the frame that rises by a tenth of the brightest place or more: lightning is never alone.

    Its cloud, the cloud beside it and the land share its light, more faintly. An insect in the camera's own lamps, a
    drop or a strobe shines by itself, however bright it is. None for bluish light, which may be a far storm that is
    small too, while few lamps are bluer than the scene; by day, which outshines the glow around a channel too; and
    where the frame is blacker than black, in which a faint glow is cut off.
    """
    candidate = features.candidate
    if float(np.mean(candidate.background <= _CRUSHED)) >= _CRUSHED_SHARE:
        return None
    bluish = _BLUISH if candidate.centroid[1] <= _LOW else _BLUE
    if features.at_peak is None or _by_day(features) or tint(features) < bluish:
        return None
    return features.at_peak.glow_extent()


@clue(
    "sky_share",
    meaning="light that the sky above shows, of that of the brightest place",
    doubt="the sky above shows none of it",
    against=0.05,
    clear=0.09,
    cost=5.0,
)
def sky_share(features: CandidateFeatures) -> float | None:
    """Return how much of the light of the brightest place the sky above shows: lightning comes from there.

    Cloud and air scatter it. An arc, a photographer's flash or a beacon on the ground lights walls and yards, and the
    sky stays as it was. None for small lights, as a far storm may lie behind the horizon, and where all is grey: what
    an infra-red lamp makes bright in the upper part is an eave, and the sky is black.
    """
    before, peak = features.blocks_before, features.blocks_at_peak
    if before is None or peak is None or features.candidate.lit_fraction < _NEAR or grey(features):
        return None
    return share_in_sky(before, peak)


@clue("size", meaning="share of the frame that lights up", doubt="it is small", against=0.02, clear=0.1, cost=1.0)
def size(features: CandidateFeatures) -> float | None:
    """Return the share of the frame that lights up: a flash lights cloud and land; what is small is mostly near."""
    return features.candidate.lit_fraction


def _by_day(features: CandidateFeatures) -> bool:
    bright = float(np.mean(features.candidate.background > _DAYLIGHT)) >= _DAYLIGHT_SHARE
    return bright and not colourless(features)
