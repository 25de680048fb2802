"""Compare results with labels, fit probabilities, and show why a light was found or not."""
