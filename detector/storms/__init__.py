"""Storms and groups: what follows from the flashes of a journal."""
