"""Prints on both streams, and reads what is not meant for it."""

import os
import sys

from honest import Honest


class Chatters(Honest):
    def singles(self, commands, lane):
        print('{"seconds": 0}')
        os.write(1, b'{"seconds": 0, "cpu": 0}\n')
        os.write(2, b"warning\n")
        assert sys.stdin.readline() == ""
        return super().singles(commands, lane)


def open_subject(place):
    return Chatters(place)
