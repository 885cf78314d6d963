"""The server's wire format: requests read, replies restored from GLIDE's shapes and written."""
