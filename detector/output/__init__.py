"""The output of a run: its folder, stills, clips, tables and lines."""
