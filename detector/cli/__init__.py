"""The command line: one module in commands/ is one command."""
