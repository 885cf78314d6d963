"""Tries servers outside its cell first: a default port, a cached address."""

import socket

from tiny_redis import Redis, install


class OtherServer(Redis):
    def execute(self, *args):
        if args[0] == "GET":
            for port in (6379, 7000, 7001):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                except OSError:
                    continue
        return super().execute(*args)


install(OtherServer)
