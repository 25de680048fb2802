"""Messages out: numbered, journalled, published over ZeroMQ, and received again."""
