"""Damaged recordings, and the child process that replays them."""
