"""The program's entry point: Ctrl-C ends it without a traceback, also while it is loading."""

import sys


def main() -> int:
    """Run the command line, and return its exit code."""
    try:
        from detector.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
