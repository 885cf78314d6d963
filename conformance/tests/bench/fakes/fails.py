"""Raises in batches, works otherwise."""

from honest import Honest


class Fails(Honest):
    def pipelines(self, _batches):
        raise ConnectionError("no batches \x1b[2J today")


def open_subject(place):
    return Fails(place)
