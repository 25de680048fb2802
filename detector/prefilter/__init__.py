"""Find candidates: sudden added light, measured against what each camera's blocks do by themselves."""
