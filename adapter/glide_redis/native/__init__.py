"""GLIDE's native core: the library, calls into it, and the clients and links made of it."""
