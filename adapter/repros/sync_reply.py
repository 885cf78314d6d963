"""GLIDE cannot read the reply of SYNC."""

from __future__ import annotations

import sys

from glide_sync import GlideClient, GlideClientConfiguration, GlideError, NodeAddress


def main(host: str, port: str) -> int:
    """Ask for a replication stream."""
    client = GlideClient.create(
        GlideClientConfiguration([NodeAddress(host, int(port))], request_timeout=2000)
    )
    try:
        reply = client.custom_command(["SYNC"])
    except GlideError as error:
        print(f"SYNC raises {type(error).__name__}: {error}")
        return 0
    finally:
        client.close()
    print(f"SYNC answers {reply!r:.100}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
