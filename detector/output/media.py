"""The media of each flash: stills, a thumbnail, a clip and its strip."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path, PurePosixPath

import msgspec

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.events import Media, State, Verdict
from detector.output.clip_files import AttachedClip, ClipWriter, SharedClip
from detector.output.clips import ClipPlanner, ClipSource
from detector.output.local_time import fixed_zone, site_zone
from detector.output.media_folder import MediaFolder, inside, media_name
from detector.output.quota import MediaQuota, Removed
from detector.output.stills import StillFacts, stills_of
from detector.settings import EvidenceSettings, SiteSettings
from stream import VideoError

_log = logging.getLogger(__name__)

_ENDINGS = {
    "still": ".jpg",
    "brightest": ".brightest.jpg",
    "thumbnail": ".thumb.jpg",
    "strip": ".strip.jpg",
    "model": ".model.jpg",
}
_OF_REJECTED = ("thumbnail", "model")
"""Media that stay of a rejected flash: enough for a person to overrule the verdict."""


class MediaWriter:
    """Make and keep the media of a run, in its folder.

    Args:
        folder: folder of the run.
        settings: what is kept, and how much.
        site: the place and its time zone, for stills.
        on_removed: called with the media that were deleted because of the quota.
        sheet: returns a JPEG of what a model is shown of a candidate; None where none is asked.
    """

    def __init__(
        self,
        folder: Path,
        settings: EvidenceSettings,
        site: SiteSettings | None = None,
        on_removed: Callable[[Removed], None] | None = None,
        sheet: Callable[[Candidate], bytes] | None = None,
    ) -> None:
        self.folder = MediaFolder(folder)
        self.site = site or SiteSettings()
        self.zone = site_zone(self.site)
        self._settings = settings
        self._clips = ClipWriter(self.folder, reencode_hevc=settings.reencode_hevc)
        self._quota = MediaQuota(self.folder, settings)
        self._on_removed = on_removed
        self._sheet = sheet

    @property
    def lost(self) -> int:
        """Number of stills and clips that could not be written."""
        return self.folder.lost

    def take(self, candidate: Candidate) -> "FlashMedia":
        """Return the stills of a closed candidate, whose frames must still be there; never raise."""
        problems: list[str] = []
        stills: dict[str, bytes] = {}
        with _costing_no_event("still", problems):
            stills.update({str(kind): jpeg for kind, jpeg in stills_of(candidate).items()})
        if self._sheet is not None:
            with _costing_no_event("sheet of what the model saw", problems):
                stills["model"] = self._sheet(candidate)
        return FlashMedia(self, candidate, stills, tuple(problems))

    def planner(self, source: ClipSource, longest_flash_seconds: float, *, live: bool) -> ClipPlanner | None:
        """Return the planner of one source's clips; None if clips are switched off."""
        if not self._settings.clips:
            return None
        return ClipPlanner(source, self._clips, self._settings, longest_flash_seconds, live=live)

    def keep(self, flash_id: str, state: State, media: Media) -> None:
        """Count the media that a flash has by now, and delete what exceeds the quota."""
        removed = self._quota.add(flash_id, state, media)
        if removed is not None and self._on_removed is not None:
            self._on_removed(removed)

    def drain(self) -> None:
        """Wait until all clips are written."""
        self._clips.drain()

    def close(self) -> None:
        """Write the waiting clips, and end."""
        self._clips.close()


class FlashMedia:
    """The media of one flash: in memory, then staged on disk, then committed or discarded, by any thread.

    Attributes:
        flash_id: id of the flash.
        onset_seconds: its start in seconds on the source's clock.
        utc_offset: UTC minus the source's clock, in seconds; None if UTC is unknown.
        clip_name: path of its clip in the run's folder, without file ending.
        problems: why a still is missing; logged once, at the commit.
    """

    def __init__(
        self, writer: MediaWriter, candidate: Candidate, stills: dict[str, bytes], problems: tuple[str, ...] = ()
    ) -> None:
        onset, shown = candidate.onset, candidate.clear or candidate.peak
        self.flash_id = candidate.id
        self.onset_seconds = candidate.start_seconds
        self.utc_offset = None if onset.utc is None else onset.utc - onset.seconds
        utc = None if self.utc_offset is None else candidate.start_seconds + self.utc_offset
        self.clip_name = media_name(candidate.camera, candidate.id, candidate.start_seconds, utc)
        self.problems = problems
        self._writer = writer
        self._facts = StillFacts(candidate.id, candidate.camera, candidate.peak_rise_levels, shown.utc)
        self._in_memory = stills
        self._there: dict[str, str] = {}  # kind: path in the run's folder, once committed
        self._staged: dict[str, str] = {}
        self._state: State | None = None
        self._verdict: Verdict | None = None
        self._clip: SharedClip | None = None
        self._facts_of_clip = Media()
        self._lock = threading.Lock()

    @property
    def wants_clip(self) -> bool:
        """Whether the flash was not rejected."""
        return self._state != "rejected"

    @property
    def in_memory(self) -> bool:
        """Whether any of the media are in memory."""
        return bool(self._in_memory)

    def stage(self) -> None:
        """Write the media to staged files, unless the verdict is there already."""
        with self._lock:
            if self._state is None:
                self._stage()

    def decide(self, verdict: Verdict) -> Media:
        """Commit the media, or discard all but the thumbnail, by the verdict, and return the media that stay."""
        with self._lock:
            if self._state is None and verdict.lightning is not False:
                for problem in self.problems:
                    _log.warning("%s: %s", self.flash_id, problem)
            self._state, self._verdict = verdict.state, verdict
            media = self._settle()
        self._writer.keep(self.flash_id, verdict.state, media)
        return media

    def attach(self, clip: AttachedClip) -> Media | None:
        """Add the clip, or the reason why there is none, and return the media, or None before the verdict."""
        with self._lock:
            self._clip, self._facts_of_clip = clip.file, clip.media
            if clip.strip is not None:
                self._in_memory["strip"] = clip.strip.data
                self._facts_of_clip = msgspec.structs.replace(clip.media, strip_seconds=clip.strip.seconds)
            if clip.file is None and self._state not in (None, "rejected"):
                _log.warning("%s: %s", self.flash_id, clip.media.note)
            if self._state is None:
                self._stage()
                return None
            media, state = self._settle(), self._state
        self._writer.keep(self.flash_id, state, media)
        return media

    def _stage(self) -> None:
        for kind, data in self._in_memory.items():
            name = f"{self.clip_name}{_ENDINGS[kind]}"
            if self._writer.folder.stage(name, data, kind) is None:
                self._staged[kind] = name
        self._in_memory.clear()

    def _settle(self) -> Media:
        """Commit or remove each file by the state, and return the media that stay."""
        rejected = self._state == "rejected"
        verdict = self._verdict
        judged_by_model = verdict is not None and (verdict.model is not None or bool(verdict.opinions))
        for kind in _ENDINGS:
            if (rejected and kind not in _OF_REJECTED) or (kind == "model" and not judged_by_model):
                self._discard(kind)
            elif kind in self._in_memory or kind in self._staged or kind in self._there:
                self._commit(kind)
        note = "; ".join(filter(None, (*self.problems, self._facts_of_clip.note))) or None
        if rejected:
            if self._clip is not None:
                self._clip.drop(self.flash_id)
                self._clip = None
            return Media(thumbnail=self._there.get("thumbnail"), model=self._there.get("model"))
        clip = None if self._clip is None else self._clip.keep()
        facts = self._facts_of_clip
        return Media(
            still=self._there.get("still"),
            brightest=self._there.get("brightest"),
            thumbnail=self._there.get("thumbnail"),
            clip=clip,
            clip_start_seconds=facts.clip_start_seconds if clip else None,
            clip_end_seconds=facts.clip_end_seconds if clip else None,
            strip=self._there.get("strip"),
            strip_seconds=facts.strip_seconds if "strip" in self._there else (),
            model=self._there.get("model"),
            note=note,
        )

    def _commit(self, kind: str) -> None:
        folder, name = self._writer.folder, f"{self.clip_name}{_ENDINGS[kind]}"
        data = self._in_memory.pop(kind, None)
        staged = self._staged.pop(kind, None)
        described = None
        if kind in ("still", "brightest"):
            jpeg = data if data is not None else folder.read(name)
            described = None if jpeg is None else self._described(jpeg)
        if described is not None or data is not None:
            done = folder.write(name, described or data or b"", kind) or (
                staged is not None and folder.commit(name, kind)
            )
        else:
            done = folder.commit(name, kind) if staged is not None else kind in self._there
        if done:
            self._there[kind] = name
        elif staged is not None or data is not None:
            self._there.pop(kind, None)

    def _discard(self, kind: str) -> None:
        self._in_memory.pop(kind, None)
        for place in (self._staged, self._there):
            name = place.pop(kind, None)
            if name is not None:
                self._writer.folder.remove(name)

    def _described(self, jpeg: bytes) -> bytes | None:
        """Return the still with its EXIF data; None if these cannot be written."""
        from detector.output.exif import with_exif  # noqa: PLC0415 - PIL, which takes 10 ms of each start

        writer = self._writer
        try:
            zone: tzinfo = fixed_zone(self._facts.utc or 0.0, writer.zone)
            return with_exif(jpeg, self._facts, self._verdict, writer.site, zone)
        except Exception as error:  # noqa: BLE001 - a still without its description is worth more than none
            _log.warning("%s: its still does not say what it shows: %s: %s", self.flash_id, type(error).__name__, error)
            return None


@contextmanager
def _costing_no_event(kind: str, problems: list[str]) -> Iterator[None]:
    """Add errors inside the block to `problems`, in words."""
    try:
        yield
    except (VideoError, OutputError) as error:
        problems.append(f"without its {kind}: {error}")
    except Exception as error:  # noqa: BLE001 - a flash without still or clip is worth more than none
        problems.append(f"without its {kind}: {type(error).__name__}: {error}")


def media_paths(media: Media) -> tuple[str, ...]:
    """Return the paths of all files of a flash, relative to the run's folder."""
    named = (media.still, media.brightest, media.thumbnail, media.clip, media.strip, media.model)
    return tuple(name for name in named if name is not None)


def remove_media(folder: Path, media: Media) -> None:
    """Remove the media of a flash from a run's folder, with emptied folders, and nothing outside it."""
    files = MediaFolder(folder)
    for name in media_paths(media):
        if inside(folder, name) is not None and ".." not in PurePosixPath(name).parts:
            files.remove(name)
