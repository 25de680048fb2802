"""Programs that only listen: they subscribe to a feed and touch no camera."""
