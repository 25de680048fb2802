"""What a run writes and prints: its folder, stills, clips, tables and lines."""
