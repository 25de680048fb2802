"""Long-running work without a command line: replay of recordings, watching of cameras."""
