"""The gate: what a run may do worse than nothing, by committed expectations with reasons."""
