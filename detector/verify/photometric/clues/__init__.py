"""The photometric clues: each a function with its evidence key, doubt, bounds and cost above it."""
