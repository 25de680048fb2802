"""The report of a run: one page with the flashes, the light curve and the reason of each verdict."""
