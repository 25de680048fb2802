"""What FFmpeg is told about trust when it connects over TLS."""

import ssl

from stream.capture.options import CaptureOptions


def tls_options(address: str, options: CaptureOptions) -> dict[str, str]:
    """FFmpeg's options for an rtsps or https `address`, none for any other."""
    if address.partition("://")[0].lower() not in ("rtsps", "https"):
        return {}
    # The FFmpeg inside PyAV does not know where a system keeps its certificates; Python does.
    trusted = options.tls_ca_file or ssl.get_default_verify_paths().cafile
    return {"tls_verify": str(int(options.tls_verify))} | ({"ca_file": trusted} if trusted else {})
