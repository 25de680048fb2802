"""Recordings: containers, growing files, and what FFmpeg does not tell of them."""
