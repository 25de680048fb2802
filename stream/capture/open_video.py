"""Open a recording for reading."""

from pathlib import Path

from stream.capture.addresses import camera_name, is_url
from stream.capture.files.container import refuse_what_is_not_a_file
from stream.capture.files.growing_file import GrowingFile, StandardInput
from stream.capture.files.image_sequence import Animation, ImageFolder, ImageSequence, is_animation
from stream.capture.files.part import Part
from stream.capture.files.video_file import Video
from stream.capture.options import CaptureOptions


def open_video(
    path_or_url: str | Path | GrowingFile | Part,
    *,
    name: str | None = None,
    options: CaptureOptions | None = None,
    start_utc: float | None = None,
    history_seconds: float = 0.0,
    stream: int | None = None,
) -> Video | ImageSequence:
    """Open the recording at `path_or_url`.

        with open_video("storm.mp4") as video:
            for frame in video: ...

    Args:
        path_or_url: the recording; a folder is read as images, at the times in their EXIF data or names. A GrowingFile
            is read while it is written, and closed with the video; an MP4 with its index at the end can be read only
            once it is complete. Of a Part only that part is read.
        name: name of the camera; made from the address if omitted.
        options: how it is opened; the defaults if omitted.
        start_utc: seconds since 1970 at its first frame; the container's creation time, if any, if omitted.
        history_seconds: seconds of packets kept for `Video.cut`; 0 keeps nothing.
        stream: number, from 1, of the video stream; the first if omitted. `choose_streams` finds those that differ.

    Returns:
        a Video, or an ImageSequence for a folder of images or an animation.

    Raises:
        OpenError: there is no such file, or it is not video; the message says in one line what it is.
    """
    source = path_or_url if isinstance(path_or_url, GrowingFile | Part) else str(path_or_url)
    name = name or camera_name(str(source))
    options = options or CaptureOptions()
    if isinstance(source, str) and not is_url(source) and Path(source).is_dir():
        return ImageFolder(Path(source), name, start_utc, options.max_pixels)
    if not isinstance(source, StandardInput):
        refuse_what_is_not_a_file(str(source), may_be_empty=isinstance(source, GrowingFile))
    if isinstance(source, str) and not is_url(source) and is_animation(Path(source)):
        return Animation(Path(source), name, start_utc, options.max_pixels)
    if isinstance(source, GrowingFile) and source.is_finished_mp4():
        source = str(source)
    return Video(source, name, options, start_utc, history_seconds, stream)
