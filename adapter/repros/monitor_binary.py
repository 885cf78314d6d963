"""GLIDE's monitor client loses the bytes of arguments that are not UTF-8."""

from __future__ import annotations

import sys

from glide_sync import GlideClient, GlideClientConfiguration, NodeAddress
from glide_sync.monitor_client import MonitorClient


def main(host: str, port: str) -> int:
    """Set a binary value while a monitor client looks on."""
    configuration = GlideClientConfiguration([NodeAddress(host, int(port))])
    monitor = MonitorClient.create(configuration)
    client = GlideClient.create(configuration)
    value = b"\xff\xfe\x00"
    client.set("repro:monitor", value)
    seen: list[str] = []
    while (message := monitor.get_monitor_message(timeout=2)) is not None:
        if message.command == "SET" and message.args[:1] == ["repro:monitor"]:
            seen = message.args
            break
    client.delete(["repro:monitor"])
    client.close()
    monitor.close()
    print(f"sent {value!r}, the monitor client hands out {seen!r}")
    return 0 if seen and seen[1].encode("utf-8", "surrogateescape") != value else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
