"""Which labelled clip a flash is of."""

from collections.abc import Collection, Iterable

from detector.events import Flash
from stream import camera_name

SEVERAL = ""
"""In place of a clip: the camera name of several."""

Source = tuple[str | None, str]
_BY_CAMERA = 1_000_000  # weaker than any path


def source_of(flash: Flash) -> Source:
    """What a flash says of its recording: the file and the camera name."""
    return flash.file, flash.camera


def clips_of(flashes: Iterable[Flash], clips: Collection[str]) -> dict[Source, str]:
    """Which of `clips` each source of `flashes` is; those that are none are left out.

    A clip is known by its file (`night/a.mp4`), else by that without leading folders (`a.mp4`), else by its camera
    name. Where several files could be one clip, it is the one that needs the fewest folders left out.
    """
    by_camera: dict[str, str] = {}
    for clip in clips:
        by_camera[camera_name(clip)] = SEVERAL if camera_name(clip) in by_camera else clip
    claims = {source: _claim(source, clips, by_camera) for source in map(source_of, flashes)}
    least: dict[str, int] = {}
    for claimed, left_out in claims.values():
        if claimed is not None:
            least[claimed] = min(left_out, least.get(claimed, left_out))
    return {source: clip for source, (clip, left_out) in claims.items() if clip is not None and left_out == least[clip]}


def _claim(source: Source, clips: Collection[str], by_camera: dict[str, str]) -> tuple[str | None, int]:
    """The clip that `source` may be, and how many leading folders must be left out for that."""
    file, camera = source
    parts = [] if file is None else file.split("/")
    for left_out in range(len(parts)):
        name = "/".join(parts[left_out:])
        if name in clips:
            return name, left_out
    return by_camera.get(camera), _BY_CAMERA
