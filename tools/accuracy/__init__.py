"""What bench_accuracy.py runs: the grid of made scenes, one trial of each, and what is printed and drawn of them."""
