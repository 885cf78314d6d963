"""What a test sent to a node: the difference of two readings of ``INFO commandstats``. Pure.

The servers count every call by command since their start or the last ``CONFIG RESETSTAT``
(https://valkey.io/commands/info/, section Commandstats). ``calls`` holds what was executed, inside
scripts too; ``rejected_calls`` what was turned down before execution (a redirection, a wrong
number of arguments). Both reached the server, so both count.

A replica repeats its primary's writes and counts them: there, of ``calls`` only commands that
replication never carries are surely a client's own; a replicated command is never rejected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

MARK = "latency|help"
"""A command nobody sends, which the recorder calls after each reading. It stands in the counters
as long as nobody resets them, so a reset is seen even when a test's own calls hide it."""

EXCLUDED: Mapping[str, str] = MappingProxyType(
    {
        "hello": "handshake: redis-py, valkey-py and GLIDE choose the protocol on new connections",
        "auth": "handshake: sent by every client that is given a password",
        "select": "handshake: sent by every client whose URL names a database",
        "readonly": "handshake: sent by every cluster client before it reads from a replica",
        "client|setinfo": "handshake: the library's name and version, from every client",
        "client|setname": "handshake: GLIDE names its connections; others do when asked to",
        "client|maint_notifications": "handshake: redis-py asks for notices of maintenance",
        "command": "start of redis-py's and valkey-py's cluster clients: where keys stand",
        "cluster|slots": "topology: start of every cluster client, redirections, periodically",
        "cluster|shards": "topology: what newer cluster clients ask instead of CLUSTER SLOTS",
        "cluster|nodes": "topology: what older cluster clients and suites' fixtures ask",
        "cluster|info": "topology: suites' fixtures wait for cluster_state:ok",
        "asking": "redirection: half of following one; the command that follows is counted",
        "ping": "health checks of idle connections by every client; GLIDE's start on a cluster",
        "info": "GLIDE's start on a single node; suites ask for the version to decide about skips",
        "flushdb": "clean-up by suites' fixtures",
        "flushall": "clean-up by suites' fixtures",
        "replconf": "replication: sent by replicas to their primary, once a second",
        "psync": "replication: sent by replicas to their primary",
    }
)
"""Commands that do not prove that a test used a server, with the reason for each."""

REPLICATED = frozenset(
    {
        "multi",
        "exec",
        "select",
        "ping",
        "replconf",
        "publish",
        "spublish",
        "eval",
        "evalsha",
        "fcall",
    }
)
"""Commands that replication carries, or carried in older servers, though they are no writes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply of ``INFO server replication commandstats``.

    ``lines``: the raw lines of the section, so that two readings are compared without parsing
    what did not change. ``own``: calls of the recorder's own that the node counted after it took
    this reading: the reading itself, and the mark.
    """

    run_id: str
    replica: bool
    lines: frozenset[bytes]
    own: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Touched:
    """Calls by command name between two readings; ``reset``: the counters were zeroed between."""

    counts: Mapping[str, int]
    reset: bool


def parse(info: bytes, own: Mapping[str, int] | None = None) -> Reading:
    """Return the reading in a reply of ``INFO server replication commandstats``.

    Raises ValueError when ``run_id`` or ``role`` is missing.
    """
    head, _, stats = info.partition(b"# Commandstats\r\n")
    return Reading(
        run_id=_field(head, b"\nrun_id:"),
        replica=_field(head, b"\nrole:") != "master",
        lines=frozenset(stats.split(b"\r\n")),
        own=own or {},
    )


def touched(
    before: Reading,
    after: Reading,
    unreplicated: Container[str] = frozenset(),
    uncertain: Mapping[str, int] | None = None,
) -> Touched:
    """Return what others than the recorder called on a node between two of its readings.

    ``unreplicated``: see ``unreplicated_commands``. ``uncertain``: calls of the recorder's own
    that the node may or may not have counted (sent on a connection that broke); as many as can be
    are subtracted. After a restart or a reset the counters are taken from zero, so that what came
    before it within the interval is unknown and what came after is exact.
    """
    new = _parse_lines(after.lines - before.lines)
    old = _parse_lines(before.lines - after.lines)
    for name in before.own:
        # A command whose line did not change stands in neither difference.
        if name not in new and name not in old:
            same = _find(before.lines, name)
            new[name] = old[name] = same
    baseline = {
        name: (old.get(name, (0, 0))[0] + before.own.get(name, 0), old.get(name, (0, 0))[1])
        for name in {*old, *before.own}
    }
    restarted = before.run_id != after.run_id
    reset = restarted or any(
        new.get(name, (0, 0))[index] < counters[index]
        for name, counters in baseline.items()
        for index in (0, 1)
    )
    if reset:
        baseline = {}
        new = _parse_lines(after.lines)
    # A node that changed its role in between may have counted replicated writes.
    replica = after.replica or (before.replica and not restarted)
    counts: dict[str, int] = {}
    for name, (calls, rejected) in new.items():
        base_calls, base_rejected = baseline.get(name, (0, 0))
        executed = calls - base_calls if not replica or name in unreplicated else 0
        count = executed + rejected - base_rejected
        count -= min(count, (uncertain or {}).get(name, 0))
        if count > 0:
            counts[name] = count
    return Touched(counts, reset)


def unreplicated_commands(reply: object) -> frozenset[str]:
    """Return the names (``xinfo|stream`` for subcommands) that a primary never sends to replicas.

    From COMMAND's reply (https://valkey.io/commands/command/): what lacks the ``write`` flag and
    is not in ``REPLICATED``. What is not of that shape is skipped.
    """
    found: set[str] = set()
    pending = list(reply) if isinstance(reply, list) else []
    while pending:
        entry = pending.pop()
        if not isinstance(entry, list) or len(entry) < 3 or not isinstance(entry[0], bytes):
            continue
        name = entry[0].decode("utf-8", "replace").lower()
        if isinstance(entry[2], list) and b"write" not in entry[2] and name not in REPLICATED:
            found.add(name)
        if len(entry) > 9 and isinstance(entry[9], list):
            pending.extend(entry[9])
    return frozenset(found)


def total(per_node: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of several nodes' counts, by command name."""
    counts: dict[str, int] = {}
    for node in per_node:
        for name, count in node.items():
            counts[name] = counts.get(name, 0) + count
    return counts


def is_touch(counts: Mapping[str, int]) -> bool:
    """Whether a test used a server: it called at least one command that is not in EXCLUDED."""
    return any(count > 0 and name not in EXCLUDED for name, count in counts.items())


def _field(head: bytes, mark: bytes) -> str:
    start = head.find(mark)
    if start < 0:
        raise ValueError(f"no {mark.decode().strip()} in the reply of INFO")
    start += len(mark)
    end = head.find(b"\r", start)
    return head[start : end if end >= 0 else len(head)].decode("utf-8", "replace")


def _parse_line(line: bytes) -> tuple[str, tuple[int, int]] | None:
    name, separator, values = line.partition(b":")
    if not separator or not name.startswith(b"cmdstat_"):
        return None
    calls = rejected = 0
    for pair in values.split(b","):
        key, _, value = pair.partition(b"=")
        if key == b"calls":
            calls = int(value)
        elif key == b"rejected_calls":
            rejected = int(value)
    return name[len(b"cmdstat_") :].decode("utf-8", "replace").lower(), (calls, rejected)


def _parse_lines(lines: Iterable[bytes]) -> dict[str, tuple[int, int]]:
    parsed = (_parse_line(line) for line in lines)
    return dict(entry for entry in parsed if entry is not None)


def _find(lines: frozenset[bytes], name: str) -> tuple[int, int]:
    prefix = b"cmdstat_" + name.encode() + b":"
    for line in lines:
        if line.startswith(prefix):
            entry = _parse_line(line)
            if entry is not None:
                return entry[1]
    return (0, 0)
