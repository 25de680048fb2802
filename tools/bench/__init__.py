"""All benchmarks behind one command, `python tools/bench NAME`; results as JSON with the machine and the versions."""
