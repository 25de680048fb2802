"""Verifiers that ask a vision-language model: MiniCPM-V here, in a second environment, or on a server."""
