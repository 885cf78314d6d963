"""Sends GET over a socket of its own, beside the client that is under test."""

import socket

from tiny_redis import Redis, encode, install


class OwnSocket(Redis):
    def execute(self, *args):
        if args[0] != "GET":
            return super().execute(*args)
        address = self.seed
        for _ in range(3):
            with socket.create_connection(address) as link:
                key = encode(args[1])
                link.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key))
                reply = self.read(link.makefile("rb"))
            if not str(reply).startswith("MOVED"):
                return reply
            host, _, port = str(reply).split()[2].rpartition(":")
            address = (host, int(port))
        raise AssertionError("redirected for ever")


install(OwnSocket)
