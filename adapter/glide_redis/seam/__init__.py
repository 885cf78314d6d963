"""The seam: what redis-py's connections hold instead of a socket, with GLIDE underneath."""
