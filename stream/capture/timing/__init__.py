"""Timing: when a frame was taken, and whether it may be damaged."""
