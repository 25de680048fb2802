"""Programs that subscribe to a feed and never access a camera."""
