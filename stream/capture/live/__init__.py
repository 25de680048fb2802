"""Live cameras: connections, reconnection, local devices."""
