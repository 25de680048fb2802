"""MiniCPM-V 4.5 by its own code: an environment, a trust record, a process and a model server of its own.

The main program's side (environment, trust, imports, launch, snapshot, smoke) never imports torch. The rest runs only
in the second environment, whose packages are those of the extra `minicpm45`: neither PyAV nor OpenCV nor ZeroMQ.
"""
