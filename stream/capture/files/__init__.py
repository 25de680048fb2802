"""Recordings: containers, growing files and image folders, with the damage and times that FFmpeg does not report."""
