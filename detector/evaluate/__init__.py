"""Compare results with labels, fit probabilities, and show why a flash was found or not."""
