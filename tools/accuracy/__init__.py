"""Parts of bench_accuracy.py: the grid of made scenes, the trial of each, and tables and plots of the results."""
