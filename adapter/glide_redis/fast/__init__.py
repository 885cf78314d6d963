"""The fast path: plain commands past redis-py's connections, straight to the multiplexed client."""
