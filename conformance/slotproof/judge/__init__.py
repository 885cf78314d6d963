"""From observations to verdicts: pure functions, no I/O."""
