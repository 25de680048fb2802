"""Which of several video streams in one camera's session show scenes of their own."""

import av

from stream.capture.addresses import redact
from stream.capture.files.video_streams import StreamChoice, compare_streams
from stream.capture.live.network import READ_SECONDS, network_options, refuse_other_host
from stream.capture.open_errors import explain_open_error
from stream.capture.options import CaptureOptions
from stream.capture.timing.corruption import monitor_rtp_losses


def choose_camera_streams(address: str, options: CaptureOptions) -> StreamChoice:
    """Return which video streams of the camera at `address` to watch; opens a short session of its own.

    Raises:
        OpenError: it does not open.
    """  # noqa: DOC501 - explain_open_error makes the OpenError
    limits = (options.open_seconds, READ_SECONDS)
    chosen = network_options(address, options)
    try:
        with (
            monitor_rtp_losses() as log,
            av.open(address, options=chosen, timeout=limits, metadata_errors="replace") as container,
        ):
            refuse_other_host(address, log)
            return compare_streams(container, container.streams.video, redact(address))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise explain_open_error(address, error) from None
