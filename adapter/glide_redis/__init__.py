"""redis-py's API on the Valkey GLIDE client. This version holds the pins and no API yet."""

__version__ = "0.0.1"
