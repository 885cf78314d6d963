"""Is broken from the start."""

raise ImportError("no library for this machine")
