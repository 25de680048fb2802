"""The report of a run: one page with the storm's flashes, its light curve and what decided each verdict."""
