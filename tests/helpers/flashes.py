"""Reported flashes, and the lines that a run writes of them."""

import msgspec

from detector.events import Flash, FlashMessage, Media, Pulse, State


def flash(
    name: str, start: float, end: float, *, state: State = "confirmed", revision: int = 2, file: str = "a.mp4"
) -> Flash:
    """Return a flash of one pulse in a file."""
    return Flash(
        id=name,
        camera="a",
        file=file,
        state=state,
        revision=revision,
        start_seconds=start,
        peak_seconds=start,
        end_seconds=end,
        duration_seconds=end - start,
        start_utc=None,
        clock="none",
        utc_error_ms=None,
        quality=(),
        pulses=(Pulse(offset_seconds=0.0, duration_seconds=end - start, rise_levels=10.0),),
        peak_rise_levels=10.0,
        lit_fraction=0.1,
        box=(0.0, 0.0, 1.0, 1.0),
        centroid=(0.5, 0.5),
        verdict=None,
        media=Media(),
        latency_ms=1.0,
        software="test",
    )


def event_lines(*flashes: Flash) -> bytes:
    """Return what `replay --json` prints of flashes."""
    messages = [
        FlashMessage(
            id=str(number),
            source="urn:test",
            type="lightning.flash.v1",
            subject=one.camera,
            time="2026-11-22T21:29:03.501221Z",
            dataschema="urn:lightning-detector:flash:1",
            feed="f",
            run="r",
            sequence=str(number),
            data=one,
        )
        for number, one in enumerate(flashes)
    ]
    return b"".join(msgspec.json.encode(message) + b"\n" for message in messages)
