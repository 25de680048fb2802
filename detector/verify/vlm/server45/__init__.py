"""MiniCPM-V 4.5 with its own code: a separate environment, a trust record, a process and a model server.

The main program's side (environment, trust, imports, launch, snapshot, smoke) never imports torch. The rest runs only
in the second environment, which has the packages of the extra `minicpm45`, without PyAV, OpenCV and ZeroMQ.
"""
