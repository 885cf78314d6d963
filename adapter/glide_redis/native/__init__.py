"""GLIDE's native core: the library, calls into it, and the clients, links and subscribers made of it."""
