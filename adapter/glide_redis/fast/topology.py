"""Short questions to single nodes of a cluster: is it alive, and who owns a slot?"""

from __future__ import annotations

from dataclasses import replace

from glide_redis.native import links
from glide_redis.native.request import Options, ReadFrom
from glide_redis.native.values import NativeError, Value, is_array

Address = tuple[str, int]

_SECONDS = 0.2


class Probe:
    """Asks nodes with the login and encryption of ``options``. For one thread.

    Each question takes at most 0.4 s: a node that is that slow is as good as gone for a moment.
    """

    def __init__(self, options: Options) -> None:
        self._options = replace(
            options, cluster=False, read_from=ReadFrom.PRIMARY, availability_zone=None
        )
        self._links: dict[Address, links.Link] = {}

    def alive(self, address: Address) -> bool:
        """True when the node answers."""
        return self._asked(address, (b"PING",)) is not None

    def owner(self, slot: int, told_by: Address) -> Address | None:
        """Return the primary of a slot as a node tells it; None without an answer."""
        for entry in _entries(self._asked(told_by, (b"CLUSTER", b"SLOTS"))):
            first, last, primary = entry[0], entry[1], entry[2]
            if not isinstance(first, int) or not isinstance(last, int) or not first <= slot <= last:
                continue
            if is_array(primary) and len(primary) > 1 and isinstance(primary[1], int):
                host = primary[0]
                # A node that was never met by name leaves its own host out.
                return (
                    host.decode() if isinstance(host, bytes) and host else told_by[0],
                    primary[1],
                )
        return None

    def close(self) -> None:
        """Close the connections."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _asked(self, address: Address, args: tuple[bytes, ...]) -> Value:
        try:
            link = self._links.get(address)
            if link is None:
                link = links.connect(replace(self._options, addresses=(address,)), _SECONDS)
                self._links[address] = link
                self._introduce(link)
            return link.submit(args).wait(_SECONDS)
        except NativeError:
            dropped = self._links.pop(address, None)
            if dropped is not None:
                dropped.close()
            return None

    def _introduce(self, link: links.Link) -> None:
        password = self._options.password
        if password is not None:
            login = [part for part in (self._options.username, password) if part is not None]
            link.submit([b"AUTH", *(part.encode() for part in login)]).wait(_SECONDS)


def _entries(reply: Value) -> list[list[Value]]:
    if not is_array(reply):
        return []
    return [entry for entry in reply if is_array(entry) and len(entry) > 2]
