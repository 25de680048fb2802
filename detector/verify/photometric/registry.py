"""The clues of the photometric verifier, in the order of a verdict's evidence, and changes to their weights."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from detector.errors import SettingsError
from detector.verify.photometric.clue import Clue
from detector.verify.photometric.clues import colour, light_curve, scene, shape

CLUES: tuple[Clue, ...] = (
    scene.positivity,
    scene.fine_positivity,
    light_curve.decay_fraction,
    light_curve.returned_to_dark,
    scene.scene_changed,
    scene.detail_kept,
    scene.fade_residual,
    light_curve.suddenness,
    scene.gain_likeness,
    scene.gain_elsewhere,
    scene.filter_swing,
    scene.shift_likeness,
    scene.seen_before,
    shape.smoothness,
    shape.point_sources,
    shape.recent_fireworks,
    light_curve.frame_overlap,
    light_curve.linear_motion,
    light_curve.spatial_spread,
    shape.recent_clutter,
    light_curve.plateau_flatness,
    light_curve.autocorrelation,
    light_curve.periodic_repeats,
    light_curve.shortest_half_life,
    light_curve.sustained_share,
    colour.colour_lost,
    colour.warmth,
    colour.colour_spread,
    colour.greenness,
    shape.vertical_position,
    shape.low_and_warm,
    shape.glow_extent,
    shape.sky_share,
    shape.size,
)
"""Sums of log-odds and evidence follow this order."""


class Weight(TypedDict, total=False):
    """Values of a clue that may be changed; see Clue."""

    against: float
    clear: float
    cost: float
    favour: float


Weights = Mapping[str, Weight] | Sequence[Clue]
"""Changes to the shipped clues by evidence key, or all clues to use."""


def weighted(weights: Weights) -> tuple[Clue, ...]:
    """Return the clues that `weights` asks for.

    Args:
        weights: by evidence key, the bounds, cost or favour to change; cost 0 and favour 0 switch a clue off. Or a
            list of all clues, in the order of the evidence.

    Raises:
        SettingsError: a key or field is unknown, a value cannot be used, or a key occurs twice.
    """
    if not isinstance(weights, Mapping):
        return _without_doubles(weights)
    keys = [clue.key for clue in CLUES]
    for key, weight in weights.items():
        _refuse_unknown("photometric weights: no clue is called", key, keys)
        for field in weight:
            _refuse_unknown(f"photometric weights, {key}: a weight has no", field, Weight.__annotations__)
    return tuple(_changed(clue, weights.get(clue.key, {})) for clue in CLUES)


def _changed(clue: Clue, weight: Weight) -> Clue:
    try:
        return replace(clue, **weight)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"photometric weights, {clue.key}: {error}") from error


def _without_doubles(clues: Sequence[Clue]) -> tuple[Clue, ...]:
    keys = [clue.key for clue in clues]
    for key in keys:
        if keys.count(key) > 1:
            raise SettingsError(f"photometric weights: {keys.count(key)} clues are called {key!r}; name each clue once")
    return tuple(clues)


def _refuse_unknown(what: str, name: str, known: Iterable[str]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose of {', '.join(known)}"
    raise SettingsError(f"{what} {name!r}; {hint}")
