"""Parts of `tools/bench accuracy`: the grid of made scenes, the trial of each, and tables and plots of the results."""
