"""Where in a TOML file a key stands."""

from __future__ import annotations

import pytest

from slotproof.suites.tables import line_of

TEXT = """\
# a comment
name = "x"

[source]
kind = "sdist"
"quoted.key" = 1

[topology.cluster]
args = [
    "-m",
    "name = not a key",
]
config.databases = "16"

[[deviation]]
what = "a"

[[deviation]]
what = "b"
reason = "c"
"""


@pytest.mark.parametrize(
    ("where", "key", "line"),
    [
        ((), "name", 2),
        (("source",), "kind", 5),
        (("source",), "missing", 4),
        (("topology", "cluster"), "args", 9),
        (("topology", "cluster"), "ports", 8),
        (("topology", "cluster", "config"), "databases", 13),
        (("deviation", 0), "what", 16),
        (("deviation", 0), "reason", 15),
        (("deviation", 1), "what", 19),
        ((), "deviation", 15),
        ((), "absent", 1),
        (("absent", "below"), "key", 1),
    ],
)
def test_line_of(where: tuple[str | int, ...], key: str, line: int) -> None:
    assert line_of(TEXT, where, key) == line
