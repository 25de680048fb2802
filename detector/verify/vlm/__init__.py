"""Verifiers that ask a vision-language model: MiniCPM-V locally, in a second environment, or on a server."""
