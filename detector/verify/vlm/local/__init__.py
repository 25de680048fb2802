"""MiniCPM-V in a process of its own; torch and transformers are imported in that process only."""
