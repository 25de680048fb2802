"""The processes and measurements behind `tools/bench feed`."""
