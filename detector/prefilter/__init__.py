"""Find candidates: sudden added light, measured against the usual changes of each camera's blocks."""
