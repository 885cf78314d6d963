"""GLIDE's cluster client sends PING before anything else, and cannot do without it."""

from __future__ import annotations

import sys

from glide_sync import (
    AllPrimaries,
    GlideClusterClient,
    GlideClusterClientConfiguration,
    GlideError,
    NodeAddress,
    ServerCredentials,
)

USER, PASSWORD = "repro", "secret"


def main(host: str, port: str) -> int:
    """Connect as a user who may read keys and ask for the topology; see what was refused."""
    addresses = [NodeAddress(host, int(port))]
    root = GlideClusterClient.create(GlideClusterClientConfiguration(addresses))
    rule = ["ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+get", "+cluster", "+hello"]
    root.custom_command(rule, AllPrimaries())
    root.custom_command(["ACL", "LOG", "RESET"], AllPrimaries())
    credentials = ServerCredentials(PASSWORD, username=USER)
    try:
        GlideClusterClient.create(
            GlideClusterClientConfiguration(addresses, credentials=credentials)
        ).close()
        failure = ""
    except GlideError as error:
        failure = str(error)
    refused = str(root.custom_command(["ACL", "LOG"], AllPrimaries()))
    root.custom_command(["ACL", "DELUSER", USER], AllPrimaries())
    root.close()
    print(f"the client says: {failure or 'connected'}\nthe servers refused: {refused:.400}")
    return 0 if "ping" in refused else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
