"""Transport streams with faults that cameras and copies make."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from helpers.media import Clip, make_clip

NEW_STREAMS = 30


def with_streams_that_appear_later(path: Path, clip: Clip) -> Path:
    """Write `clip` as a transport stream whose list of streams (PMT) names many sound streams for a while.

    They are named in the third quarter only: FFmpeg reads the beginning and the end of a file when it opens it.
    """
    quarter = clip.frames // 4
    whole = make_clip(path.with_name("whole.mp4"), replace(clip, key_seconds=float(Fraction(quarter) / clip.rate)))
    with av.open(str(whole)) as source, path.open("wb") as joined:
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number in range(4):
            part = path.with_name(f"part{number}.ts")
            with av.open(str(part), "w", options={"mpegts_copyts": "1"}) as container:
                stream = container.add_stream_from_template(source.streams.video[0])
                for _ in range(NEW_STREAMS if number == 2 else 0):
                    container.add_stream("mp2", rate=44100)
                for packet in packets[number * quarter : (number + 1) * quarter]:
                    packet.stream = stream
                    container.mux(packet)
            joined.write(part.read_bytes())
    return path
