"""Capture options have the shipped values and refuse what cannot work."""

import math

import msgspec
import pytest

from detector.settings import load_settings
from stream import CaptureOptions
from stream.capture.options import tls_options


def test_the_options_of_the_library_are_those_that_the_program_ships() -> None:
    assert CaptureOptions() == load_settings().capture


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("open_seconds", 0.1, ">= 0.5"),
        ("stall_seconds", math.nan, ">= 0.5"),
        ("live_threads", 0, ">= 1"),
        ("max_failed_fraction", 1.5, "<= 1"),
        ("transport", "sctp", "sctp"),
        ("tls_verify", "yes", "bool"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(field: str, value: object, bound: str) -> None:
    with pytest.raises(ValueError, match=field) as made:
        CaptureOptions(**{field: value})
    assert bound in str(made.value)
    assert repr(value) in str(made.value)
    with pytest.raises(ValueError, match=field):
        msgspec.structs.replace(CaptureOptions(), **{field: value})


def test_only_encrypted_addresses_get_options_on_trust() -> None:
    assert tls_options("rtsp://camera/live", CaptureOptions()) == {}
    trusting = CaptureOptions(tls_verify=False, tls_ca_file="/etc/camera.pem")
    assert tls_options("rtsps://camera/live", trusting) == {"tls_verify": "0", "ca_file": "/etc/camera.pem"}
