"""Long-running work without a command line: replaying recordings, watching cameras."""
