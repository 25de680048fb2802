"""The commands, one module each: its docstring is its help, `add_arguments` its flags, `run` its work."""
