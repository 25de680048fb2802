"""Video capture: recordings, network cameras and local devices, each frame with its time."""
