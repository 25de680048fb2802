"""`python -m lightning_detector`: the command line."""

import sys

from detector.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
