"""When a frame was taken, and whether it can be trusted."""
