"""The servers of a cell: what there is to start, and how it is formed, watched and stopped."""
