"""The processes and measurements behind tools/bench_feed.py."""
