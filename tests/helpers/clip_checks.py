"""Whether a flash's clip plays from its first frame and holds the flash with what was before and after it."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import msgspec

from detector.events import Flash, decode_flash_message
from detector.settings import EvidenceSettings

AFTER_TOLERANCE_SECONDS = 0.1


@dataclass(frozen=True)
class SourceFacts:
    """Of a recording: first and last time shown, the length of a frame, and the longest way between key frames."""

    begin: float
    end: float
    frame_seconds: float
    key_seconds: float


@dataclass(frozen=True)
class DecodedClip:
    """What a decoder gives for a clip, asked to end at the first error."""

    times: tuple[float, ...]
    levels: tuple[float, ...]
    first_is_key: bool


def source_facts(path: Path) -> SourceFacts:
    """What a recording offers to cut from."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [
            (float(packet.pts * packet.time_base), packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
        rate = float(stream.average_rate or 25)
    times = sorted(time for time, _ in packets)
    keys = [*sorted(time for time, key in packets if key), times[-1] + 1 / rate]
    gaps = [after - before for before, after in pairwise(keys)]
    return SourceFacts(times[0], times[-1] + 1 / rate, 1 / rate, max(gaps))


def decoded(path: Path) -> DecodedClip:
    """Decode a clip from its first packet on; any error that FFmpeg notices ends it.

    Raises:
        av.FFmpegError: it cannot be decoded without an error.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        frames = [(frame, float(frame.to_ndarray(format="gray").mean())) for frame in container.decode(stream)]
    assert not any(frame.is_corrupt for frame, _ in frames)
    times = tuple(float(frame.pts * frame.time_base) for frame, _ in frames)
    return DecodedClip(times, tuple(level for _, level in frames), bool(frames[0][0].key_frame))


def confirmed_flashes(out: Path) -> list[Flash]:
    """The confirmed flashes of a run's folder."""
    lines = (out / "flashes.jsonl").read_bytes().splitlines()
    return [flash for line in lines if (flash := decode_flash_message(line).data).state == "confirmed"]


def clip_faults(out: Path, flash: Flash, source: SourceFacts, kept: EvidenceSettings | None = None) -> list[str]:
    """What is wrong with the clip of a confirmed flash; nothing, if all is as promised."""
    kept = kept or EvidenceSettings()
    media = flash.media
    if media.clip is None or media.clip_start_seconds is None or media.clip_end_seconds is None:
        return [f"{flash.id}: no clip: {media.note}"]
    clip, faults = decoded(out / media.clip), []
    begin, end = media.clip_start_seconds, media.clip_end_seconds
    flash_end = flash.end_seconds if flash.end_seconds is not None else flash.start_seconds
    slack = source.frame_seconds + 0.005
    if not clip.first_is_key or abs(clip.times[0]) > slack:
        faults.append(f"begins with a frame that is no key frame, at {clip.times[0]:.3f} s")
    if abs(clip.times[-1] + source.frame_seconds - (end - begin)) > 2 * slack:
        faults.append(f"is {clip.times[-1] + source.frame_seconds:.3f} s long and says {end - begin:.3f} s")
    if begin > flash.start_seconds + 1e-3 or end < flash_end - slack:
        faults.append(f"lasts from {begin:.3f} to {end:.3f} s, the flash {flash.start_seconds:.3f} to {flash_end:.3f}")
    wanted = max(source.begin, flash.start_seconds - kept.before_seconds)
    if begin > wanted + slack:
        faults.append(f"begins at {begin:.3f} s, {kept.before_seconds} s before is {wanted:.3f}")
    shared = end - begin > kept.before_seconds + kept.after_seconds + source.key_seconds + flash_end - (
        flash.start_seconds
    )
    if begin < wanted - source.key_seconds - slack and not shared:
        faults.append(f"begins at {begin:.3f} s, more than a key-frame interval before {wanted:.3f}")
    until = min(source.end, flash_end + kept.after_seconds)
    if end < until - AFTER_TOLERANCE_SECONDS - slack:
        faults.append(f"ends at {end:.3f} s, {kept.after_seconds} s after is {until:.3f}")
    return [f"{flash.id}: the clip {fault}" for fault in faults] + _dark(flash, clip, begin)


def _dark(flash: Flash, clip: DecodedClip, begin: float) -> list[str]:
    """Whether the clip is brighter at the flash's peak than in the second before its onset, where that is in it."""
    at = {
        round(begin + time - flash.start_seconds, 3): level for time, level in zip(clip.times, clip.levels, strict=True)
    }
    before = [level for since, level in at.items() if -0.5 < since < -0.02]
    lit = [level for since, level in at.items() if -0.02 <= since <= flash.peak_seconds - flash.start_seconds + 0.02]
    if not lit:
        return [f"{flash.id}: the clip has no frame of the flash"]
    if before and max(lit) <= sum(before) / len(before):
        return [f"{flash.id}: the clip is no brighter in the flash than before it"]
    return []


def told_as(flash: Flash) -> str:
    """A flash as text, for the message of a test."""
    return msgspec.json.encode(flash.media).decode()
