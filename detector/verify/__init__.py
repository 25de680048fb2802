"""Judge candidates: verifiers, and how candidates of all cameras share one."""
