"""The photometric verifier, which adds up physical clues and needs no model."""
