"""Labels: what each clip of a labelled set shows."""

import difflib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from detector.errors import LabelsError

Interval = tuple[float, float]
"""(start, end) in seconds."""

_INSIDE_SECONDS = 0.01


class ClipLabels(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of a clip, in seconds of presentation time; ends are exclusive. Other keys (notes) are allowed.

    Attributes:
        kind: positive or negative.
        flashes: pulses joined over gaps shorter than 0.5 s.
        pulses: the single lit runs.
        ignore: uncertain times, in which a report is neither a hit nor a false alarm.
        group: name shared by clips of the same footage.
        category: `class` in the file: the kind of scene, such as "fireworks"; "time-lapse" for one not in real time.
        seconds: length of the clip, if known.
    """

    kind: Literal["positive", "negative"]
    flashes: tuple[Interval, ...] = ()
    pulses: tuple[Interval, ...] = ()
    ignore: tuple[Interval, ...] = ()
    group: str | None = None
    category: str | None = msgspec.field(name="class", default=None)
    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for inconsistent labels, which would silently be counted wrongly."""
        for name, intervals in (("flashes", self.flashes), ("pulses", self.pulses), ("ignore", self.ignore)):
            for start, end in intervals:
                if not start < end:
                    raise ValueError(f"{name}: [{start:g}, {end:g}] does not end after it has begun")
        if self.kind == "negative" and self.flashes:
            raise ValueError(f"a negative clip with {len(self.flashes)} flashes")

    @property
    def begins_inside(self) -> bool:
        """Whether the clip begins inside a flash: its onset is not visible, so it is counted separately."""
        return any(start <= _INSIDE_SECONDS for start, _ in self.flashes)


def read_labels(path: Path) -> dict[str, ClipLabels]:
    """Return the labels of each clip, by file name.

    Raises:
        LabelsError: the file cannot be read or is not labels; the message names the clip and the field.
    """
    clip = None
    labels: dict[str, ClipLabels] = {}
    try:
        content = path.read_bytes()
        for clip, of_clip in msgspec.json.decode(content, type=dict[str, msgspec.Raw]).items():
            _refuse_misspelt(msgspec.json.decode(of_clip, type=dict[str, msgspec.Raw]))
            labels[clip] = msgspec.json.decode(of_clip, type=ClipLabels)
    except OSError as error:
        raise LabelsError(f"{path}: cannot read labels: {error.strerror}") from error
    except msgspec.DecodeError as error:
        where = path if clip is None else f"{path}, {clip}"
        raise LabelsError(
            f"{where}: not labels ({error}); expected an object of clips, each with kind (positive or negative), "
            "flashes, pulses and ignore (lists of [start, end] in seconds)"
        ) from error
    names = Counter(name for name, _ in json.loads(content, object_pairs_hook=list))
    if doubled := [name for name, count in names.items() if count > 1]:
        raise LabelsError(
            f"{path}, {doubled[0]}: not labels (it is there {names[doubled[0]]} times); name each clip once"
        )
    return labels


def _refuse_misspelt(keys: Iterable[str]) -> None:
    """Raise ValidationError for a key similar to a known one, since a misspelt key would silently not be counted."""
    names = ClipLabels.__struct_encode_fields__
    for key in keys:
        meant = difflib.get_close_matches(key, names, n=1, cutoff=0.8)
        if key not in names and meant:
            raise msgspec.ValidationError(f"`{key}` is like `{meant[0]}`, but is not read; write that, or another name")
