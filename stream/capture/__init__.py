"""Frames in: recordings, cameras and devices, each frame with its time."""
