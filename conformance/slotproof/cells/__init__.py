"""A cell: one process tree that starts its own servers, runs one suite and stops everything."""
