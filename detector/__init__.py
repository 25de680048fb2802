"""What lightning is, and the program that finds it; imports `stream` through its door only."""

__version__ = "0.1.0"
