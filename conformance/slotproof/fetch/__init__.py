"""Getting foreign files: by version and sha256 into a cache, and safely out of archives."""
