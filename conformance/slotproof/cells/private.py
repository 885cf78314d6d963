"""Inside fresh namespaces: bring up loopback, and hide the machine's temporary files and sockets.

Network and process namespaces do not separate unix sockets and temporary files, which suites
hard-code too; so the folders that hold them are replaced, in the cell's own mount namespace.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

# /run holds the sockets of container engines and of servers that Debian's packages start.
HIDDEN = ("/tmp", "/var/tmp", "/run", "/dev/shm")
# What other programs need in there to run at all (NixOS keeps its programs below /run).
_ALWAYS_VISIBLE = ("/run/current-system", "/run/wrappers", "/run/opengl-driver")
_STAGE = "/mnt"

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def raise_loopback() -> None:
    """Set ``lo`` up; a fresh network namespace has it down. Raises OSError without the right."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14s", b"lo", 0, b"")
        flags = struct.unpack("16sh14s", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14s", b"lo", flags | _IFF_UP, b""))


def hide_shared_folders(expose: Iterable[str]) -> None:
    """Put an empty file system over each of ``HIDDEN``, keeping the paths in ``expose`` visible.

    Must run in a mount namespace of its own. Raises OSError or CalledProcessError on failure.
    """
    paths = [p for p in (*expose, *_ALWAYS_VISIBLE) if Path(p).exists()]
    visible = [os.path.realpath(p) for p in paths]
    for folder in HIDDEN:
        if not Path(folder).is_dir() or Path(folder).is_symlink():
            continue
        inside = _outermost(p for p in visible if p.startswith(folder + "/"))
        # Kept reachable at the stage while the folder is covered; binds made from it survive.
        _mount("--rbind", folder, _STAGE)
        _mount("-t", "tmpfs", "-o", "mode=1777,size=1g", "tmpfs", folder)
        for path in inside:
            origin = Path(_STAGE) / Path(path).relative_to(folder)
            target = Path(path)
            if origin.is_dir():
                target.mkdir(parents=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
            _mount("--rbind", str(origin), path)
        subprocess.run(["umount", "--lazy", _STAGE], check=True)


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(k + "/") for k in kept):
            kept.append(path)
    return kept


def _mount(*args: str) -> None:
    subprocess.run(["mount", *args], check=True, capture_output=True, text=True)
