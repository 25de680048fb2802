"""MiniCPM-V in a separate process; torch and transformers are imported in that process only."""
