"""Physical reasons for and against lightning, each measured on one candidate; those of colour are beside."""

import numpy as np
from numpy.typing import NDArray

from detector.candidate import LightCurve
from detector.prefilter.change_balance import NO_CHANGE
from detector.prefilter.recurrence import autocorrelation_peak
from detector.verify.photometric.added_light import SATURATED
from detector.verify.photometric.colour import colourless, grey, tint, warmth
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.sky import share_in_sky

# Lightning is hotter than any lamp, so the light that it adds is bluer than what a camera takes for white; colour is
# noisy where a small light is coded, and insects in white light are found up to this warmth.
_BLUISH = -0.025
# Cars are on the ground, and in most views that is the lowest quarter. Cameras that watch the sky often have the
# horizon below it, and far storms just above that: there they are known by being bluer than any headlights.
_LOW, _BLUE = 0.75, -0.05
# A frame or a block shows the light itself, not its last glow, from this share of the brightest one on.
_BRIGHT = 0.3
# Light of which a tenth reaches more of the picture than this has a glow about it, even if an insect's streak is long.
_GLOWS = 0.2
# A scene of which a quarter is brighter than half of full scale, in colour, is lit by day; infra-red lamps give none.
_DAYLIGHT, _DAYLIGHT_SHARE = 128.0, 0.25
# What two pictures that are not quite aligned differ by is half brighter, half darker, and hardly ever so much more of
# the first; light only adds.
_MISALIGNED, _LIGHT = 0.85, 0.95
# Of the picture: a light so large is no storm behind the horizon.
_NEAR = 0.05
# A scene that keeps so much of its detail is not moving.
_STAYS = 0.6
# Frames further apart than this show strokes of their own; no shutter takes as long as this from top to bottom.
_NEXT_SECONDS, _ROLLING_SECONDS = 0.21, 0.12
# Mains light that beats with the frame rate waxes and wanes by less than this.
_MAINS_DEPTH = 0.5


def positivity(views: CandidateFeatures) -> float | None:
    """Share of rises in all noticeable changes at the onset: added light darkens nothing, motion does."""
    curve = views.candidate.curve
    return float(curve.positivity[curve.lit].max(initial=0.0)) if len(curve.lit) else None


def fine_positivity(views: CandidateFeatures) -> float | None:
    """The same at five times the resolution around what lit up, over onset and peak together.

    What the scene does there by itself in the same time does not speak against a light that outshines it, nor does the
    way that the whole picture went meanwhile.
    """
    candidate = views.candidate
    where, rise = candidate.lit_map, _mean_rise(views)
    total = usual = stabilised = NO_CHANGE
    for view, steady, now in (
        (views.at_onset, views.steady_onset, candidate.onset),
        (views.at_peak, views.steady_peak, candidate.peak),
    ):
        stir = (None if view is None else view.change_balance(where, rise)) or NO_CHANGE
        left = (None if steady is None else steady[0].change_balance(where, rise)) or NO_CHANGE
        total, stabilised = total + stir, stabilised + left.without_residual(stir)
        quiet = views.usual(now)
        usual += (None if quiet is None else quiet.change_balance(where, rise)) or NO_CHANGE
    return max(total.beyond(usual).positivity(), stabilised.positivity()) if total.gained > 0 else None


def fallen_share(views: CandidateFeatures) -> float | None:
    """How far the light fell back after its brightest moment: lightning goes out, a lamp or an exposure step stays."""
    curve, context = views.candidate.curve, views.candidate.context
    top = float(curve.rise.max(initial=0.0))
    if top <= 0:
        return None
    # From where it first was half as bright as ever: a new level with noise on it has its highest point anywhere.
    left = curve.rise[int(np.argmax(curve.rise >= 0.5 * top)) :]
    if context.cut_off and len(left) < 3:
        return None
    by_curve = 1.0 - float(left.min()) / top
    left_over = _left_over(views)
    return by_curve if left_over is None else max(by_curve, 1.0 - max(0.0, left_over))


def scene_changed(views: CandidateFeatures) -> float | None:
    """How much of the change is still there when the light is out, beyond a common gain: a cut or another camera mode.

    A dip of the exposure after a strike is a common gain and does not count, nor does what the scene does by itself.
    """
    peak, after = views.at_peak, views.afterwards
    if peak is None or after is None:
        return None
    where = views.candidate.lit_map
    usual = views.usual(views.candidate.after)
    stir = 0.0 if usual is None else usual.residual_after_gain(where)
    rise = float(np.abs(peak.difference[peak.dilated(where)]).mean())
    return max(0.0, after.residual_after_gain(where) - stir) / max(rise, 0.5)


def detail_kept(views: CandidateFeatures) -> float | None:
    """How much of the scene's fine detail is there again when the light is out, of what it keeps by itself meanwhile.

    After a cut it is the detail of another place, however dark both are. Asked of scenes that keep most of it for about
    as long as the light lasted: of one that moves it says nothing.
    """
    candidate, after, usual = views.candidate, views.afterwards, views.usual(views.candidate.after)
    if after is None or usual is None or candidate.before is None or candidate.after is None:
        return None
    known = candidate.quiet[-1].seconds - candidate.quiet[0].seconds
    if candidate.after.seconds - candidate.before.seconds > 2.0 * known:
        return None
    kept, by_itself = after.detail_kept(turned=True), usual.detail_kept()
    return None if kept is None or by_itself is None or by_itself < _STAYS else kept / by_itself


def unevenness(views: CandidateFeatures) -> float | None:
    """How unevenly the light comes or, where all is white at once, goes.

    An editor who fades one scene out to white and the next one in from it takes every place the same share of its way
    there: land, sky and black borders. Light finds some things near and others far.
    """
    coming = None if views.at_onset is None else views.at_onset.unevenness()
    if coming is not None or views.left_over is None:
        return coming
    return views.left_over.unevenness()


def suddenness(views: CandidateFeatures) -> float | None:
    """Largest rise within 50 ms (or one frame) over the brightest moment: strokes jump, headlights and dawn grow."""
    curve = views.candidate.curve
    rise, seconds = curve.rise, curve.seconds
    top = float(rise.max(initial=0.0))
    if top <= 0:
        return None
    best = float(rise[0])
    for i in range(1, len(rise)):
        first = min(i - 1, int(np.searchsorted(seconds, seconds[i] - 0.05 - 1e-6)))
        best = max(best, float(rise[i] - rise[first:i].min()))
    return best / top


def gain_likeness(views: CandidateFeatures) -> float | None:
    """How well a mere change of gain explains the rise: exposure steps and beating mains light are gain.

    A cloud lit from within is not: it is bright where it was dark.
    """
    return None if views.at_peak is None else views.at_peak.gain_likeness()


def gain_elsewhere(views: CandidateFeatures) -> float | None:
    """How much of the light the gain explains that the unlit rest of the picture shows, 0..1 and more.

    Where mains light beats, every place brightens in proportion to what it shows, most of them too little to be called
    lit; what a flash does not reach stays as it was. None where too little is left unlit, or brightens by more than
    mains light ever does.
    """
    candidate, peak = views.candidate, views.blocks_at_peak
    if peak is None:
        return None
    before, rise = np.maximum(candidate.background, 0), peak - candidate.background
    core = candidate.lit_map & (rise >= _BRIGHT * np.max(rise, where=candidate.lit_map, initial=0.0))
    rest = ~candidate.lit_map & (peak < SATURATED)
    power = float((before[rest] ** 2).sum())
    if np.count_nonzero(rest) < 0.3 * rest.size or power <= 0:
        return None
    gain = float((rise[rest] * before[rest]).sum()) / power
    return gain * float(before[core].sum()) / max(float(rise[core].sum()), 1e-6) if gain < _MAINS_DEPTH else None


def filter_swing(views: CandidateFeatures) -> float | None:
    """How much darker the picture was right before, or brighter it stays after, whichever is less, 0..1.

    A camera that swings its infra-red filter is dark for a moment, overexposed, and then stays brighter than it was. A
    flash needs no dark moment before it, and what a strike does to the exposure makes the picture darker, not brighter.
    """
    before, after = views.blocks_before, views.blocks_after
    usual = float(views.candidate.background.mean())
    if before is None or after is None or usual < 4.0:
        return None
    return max(0.0, min(1.0 - float(before.mean()) / usual, float(after.mean()) / usual - 1.0))


def shift_likeness(views: CandidateFeatures) -> float | None:
    """How much of the change a small shift of the picture explains: wind or a hand that moves the camera.

    Unless what it leaves is light: purely brighter, and more than crumbs.
    """
    if views.steady_peak is None or views.at_peak is None:
        return None
    steady, explained = views.steady_peak
    left, stir = (
        view.change_balance(views.candidate.lit_map, _mean_rise(views)) or NO_CHANGE for view in (steady, views.at_peak)
    )
    left = left.without_residual(stir)
    light = (left.positivity() - _MISALIGNED) / (_LIGHT - _MISALIGNED)
    return explained * (1.0 - min(1.0, max(0.0, light)))


def smoothness(views: CandidateFeatures) -> float | None:
    """Share of the rise left after smoothing: a sky lights up widely, lamps, sparks and insects are small and sharp.

    Asked of small lights only: a channel is sharp too, but the cloud about it glows.
    """
    if views.at_peak is None or views.candidate.lit_fraction > 0.06:
        return None
    return views.at_peak.smoothness(views.candidate.lit_map)


def specks(views: CandidateFeatures) -> float | None:
    """How many separate points shine by themselves: a firework is a swarm of burning sparks.

    A stroke is one line with its branches, and cloud and land shine only by its light, smoothly. Seen at the onset, at
    the peak, when the glare that hid them wanes, or right after it, where they burn on. Glints on water come and go
    anyway: a light outshines them, but after it they are taken off, and where they are not known it is not asked.
    """
    shining = (views.at_onset, views.at_peak, views.waning)
    counts = [float(view.point_sources()) for view in shining if view is not None]
    after, usual = views.afterwards, views.usual(views.candidate.after)
    if after is not None and usual is not None:
        counts.append(float(after.point_sources() - usual.point_sources()))
    return max(counts, default=None)


def overlap(views: CandidateFeatures) -> float | None:
    """Share of the light's core that stays from frame to frame: a cloud stays where it is, insects and beams move on.

    Asked of bright frames only, the core of a last glow is noise, and of three or more: of one stroke a rolling shutter
    shows the upper and the lower part in two. Where frames are longer than any shutter rolls, two are enough.
    """
    curve = views.candidate.curve
    bright = _bright(curve)
    apart = np.diff(curve.seconds)
    pairs = bright[1:] & bright[:-1] & (apart <= _NEXT_SECONDS)
    enough = np.count_nonzero(pairs) >= 2 or bool((apart[pairs] > _ROLLING_SECONDS).any())
    return float(np.median(curve.overlap[1:][pairs])) if enough else None


def travel(views: CandidateFeatures) -> float | None:
    """How steadily the light travels in one direction, 0..1: insects, cars and aircraft do, strokes jump about.

    Over the longest run of bright frames (three or more): the share of the centre's movement that a straight, even
    motion explains, less where it moves by less than a tenth of the picture. The centre of a last glow moves as its
    parts go out one after the other, and so does that of a large light: neither is asked.
    """
    curve = views.candidate.curve
    if views.candidate.lit_fraction > 0.15:
        return None
    edges = np.flatnonzero(np.diff(np.concatenate(([False], _bright(curve), [False])).astype(np.int8)))
    runs = sorted(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0])
    if not runs or runs[-1][1] - runs[-1][0] < 3:
        return None
    run = slice(*runs[-1])
    place = np.stack([curve.x[run], curve.y[run]]).astype(np.float64)
    place -= place.mean(axis=1, keepdims=True)
    when = curve.seconds[run] - curve.seconds[run].mean()
    speed = place @ when / max(float(when @ when), 1e-9)
    moved = float((place * place).sum())
    even = float(speed @ speed * (when @ when)) / moved if moved > 0 else 0.0
    distance = float(np.hypot(*speed)) * float(when[-1] - when[0])
    return even * min(1.0, distance / 0.1)


def roaming(views: CandidateFeatures) -> float | None:
    """How many times what its largest frame shows was lit in all: one after the other, what moves lights many places.

    Stroke after stroke a flash lights the same cloud and land; a rolling shutter parts what a stroke lights in two.
    """
    return views.candidate.roaming


def company(views: CandidateFeatures) -> float | None:
    """How many lights of the last minute shone alone or roamed: where insects fly, the next of their kind is one too.

    Not asked of a light whose glow reaches far, nor where `reach` is not.
    """
    far = reach(views)
    return None if far is None or far > _GLOWS else float(views.candidate.context.recent_clutter)


def show(views: CandidateFeatures) -> float | None:
    """How many lights of the last minutes were swarms of sparks, where hardly anything else shone.

    The next one is a firework too, though a glare hides its sparks: a storm seldom comes into the middle of a show.
    """
    return views.swarms_before


def steadiness(views: CandidateFeatures) -> float | None:
    """Share of lit frames within 7 % of the middle one: a lamp shines evenly, strokes flicker and decay.

    Not asked of fewer than three frames, nor where the picture is saturated (white is white); three may agree by
    chance, five hardly.
    """
    candidate = views.candidate
    inner = candidate.curve.rise[candidate.curve.lit]
    if len(inner) < 3 or float(candidate.peak_map.max()) >= SATURATED:
        return None
    middle = float(np.median(inner))
    return float(np.mean(np.abs(inner - middle) <= 0.07 * middle)) * min(1.0, (len(inner) - 1) / 4)


def regularity(views: CandidateFeatures) -> float | None:
    """How well the light curve repeats itself, up to 1: machines and mains keep time, strokes do not."""
    return autocorrelation_peak(views.candidate.curve.rise_while_lit)


def went_dark(views: CandidateFeatures) -> float | None:
    """1 when the light went out, 0 when it was given up still lit, or had only come on when the source ended.

    Unknown where the source ended while it was falling.
    """
    context = views.candidate.context
    if context.cut_off:
        # Whatever comes on in the last picture or two may stay on: that it rose is half of the proof.
        return 0.0 if fallen_share(views) is None else None
    # What is left of a tenth is drifting clouds rather than light.
    if (fallen_share(views) or 0.0) >= 0.9:
        return 1.0
    return None if context.dark_after is None else float(context.dark_after)


def blinks(views: CandidateFeatures) -> float | None:
    """How many earlier lights had this place, strength and rhythm: lightning does not keep time."""
    return views.candidate.context.periodic_repeats


def height(views: CandidateFeatures) -> float | None:
    """Where the light's centre is, 0 = top, 1 = bottom: lightning is in the sky, lamps and cars are on the ground.

    Not asked of large lights: of a flash a rolling shutter may show the lower part alone. Nor of what is bluer than
    headlights are: the horizon may be that low.
    """
    return None if views.candidate.lit_fraction >= 0.35 or tint(views) < _BLUE else views.candidate.centroid[1]


def sky_share(views: CandidateFeatures) -> float | None:
    """How much of the light, of that of the brightest place, the sky above shows: lightning comes from there.

    Cloud and air scatter it. An arc, a photographer's flash or a beacon on the ground lights walls and yards, and the
    sky stays as it was. Not asked of small lights: a far storm may lie behind the horizon.
    Nor where all is grey: what an infra-red lamp makes bright in the upper part is an eave, and the sky is black.
    """
    before, peak = views.blocks_before, views.blocks_at_peak
    if before is None or peak is None or views.candidate.lit_fraction < _NEAR or grey(views):
        return None
    return share_in_sky(before, peak)


def size(views: CandidateFeatures) -> float | None:
    """Share of the picture that lights up: a flash lights cloud and land; what is small is mostly something near."""
    return views.candidate.lit_fraction


def reach(views: CandidateFeatures) -> float | None:
    """Share of the picture that rises by a tenth of the brightest place or more: lightning is never alone.

    Its cloud, the cloud beside it and the land share its light, more faintly. An insect in the camera's own lamps, a
    drop or a strobe shines by itself, however bright it is, and nothing about it glows. Not asked of bluish light: that
    may be a far storm, which is small too, while few lamps are bluer than the scene. Nor by day, which outshines all of
    these, and the glow about a channel too.
    """
    candidate = views.candidate
    bluish = _BLUISH if candidate.centroid[1] <= _LOW else _BLUE
    return None if views.at_peak is None or _by_day(views) or tint(views) < bluish else views.at_peak.glow_extent()


def lamplight(views: CandidateFeatures) -> float | None:
    """Warmth of a light near the lower edge: headlights are no bluer than the scene, a storm behind a low horizon is.

    A grey picture (0) leaves it open, and so counts by half.
    """
    place = height(views)
    return warmth(views) if place is not None and place > _LOW else None


def _mean_rise(views: CandidateFeatures) -> float:
    """Of the blocks that lit up, levels."""
    candidate = views.candidate
    where = candidate.lit_map
    return float((candidate.peak_map - candidate.background)[where].mean()) if where.any() else 0.0


def _by_day(views: CandidateFeatures) -> bool:
    bright = float(np.mean(views.candidate.background > _DAYLIGHT)) >= _DAYLIGHT_SHARE
    return bright and not colourless(views)


def _bright(curve: LightCurve) -> NDArray[np.bool_]:
    """The frames that show the light itself, not its last glow."""
    bright: NDArray[np.bool_] = curve.lit & (curve.rise >= _BRIGHT * curve.rise.max(initial=0.0))
    return bright


def _left_over(views: CandidateFeatures) -> float | None:
    """Share of the peak's own pattern that the picture of after still shows; below 0 where it is darker there.

    What drifts meanwhile (clouds, exposure) makes some blocks brighter and others darker, in a pattern of its own.
    """
    peak, after = views.blocks_at_peak, views.blocks_after
    if peak is None or after is None:
        return None
    where, ground = views.candidate.lit_map, views.candidate.background
    light, rest = (peak - ground)[where], (after - ground)[where]
    power = float(light @ light)
    return float(light @ rest) / power if power > 0 else None
