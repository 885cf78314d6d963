"""A small client that does what it should: the raw socket, with clients to spare."""

from slotproof_bench_worker.raw_socket import RawSocket
from slotproof_bench_worker.subject import Place


class Honest(RawSocket):
    """What the other fakes spoil."""

    def further(self, topology: str, key: str) -> object:
        address = self._place.standalone if topology == "standalone" else None
        place = Place((address,), None) if address else self._place
        client = Honest(place)
        assert client._socket(0, place.primary_of(key))
        return client


def open_subject(place: Place) -> Honest:
    return Honest(place)
