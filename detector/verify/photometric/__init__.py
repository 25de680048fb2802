"""The verifier that adds up physical reasons; needs no model."""
