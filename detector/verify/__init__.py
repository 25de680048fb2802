"""Judge candidates: verifiers, and batches that let all cameras share one."""
