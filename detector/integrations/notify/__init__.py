"""Messages to people: what of a feed is worth one, how many may go out, and where to."""
