"""``slotproof list``."""

from __future__ import annotations

from collections import Counter

import click
from rich.table import Table
from rich.text import Text

from slotproof.cli.common import console
from slotproof.clients import plugin
from slotproof.runner.prepare import client_version
from slotproof.servers.spec import load_all as load_servers
from slotproof.suites import collected, library


@click.command("list")
@click.argument(
    "what", type=click.Choice(["suites", "clients", "servers", "tests"]), required=False
)
def list_(what: str | None) -> None:
    """List what there is: suites, clients and servers, or the ids of all tests."""
    out = console()
    if what == "tests":
        for suite in library.load_all().values():
            for test in collected.read(suite.collected_lock):
                out.print(Text(f"{suite.name} {test.kind} {test.id}"), soft_wrap=True)
        return
    if what in {None, "suites"}:
        table = Table("suite", "row", "version", "tests", "kinds", "variants", "licence", box=None)
        for suite in library.load_all().values():
            lock = suite.collected_lock
            tests = collected.read(lock) if lock.exists() else ()
            kinds = Counter(t.kind for t in tests)
            words = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) or "not locked yet"
            table.add_row(
                *(suite.name, suite.row, suite.version, str(len(tests)), words),
                ", ".join(suite.variants),
                suite.licence,
            )
        out.print(table)
    if what in {None, "clients"}:
        table = Table("client", "pins", "topologies", "", box=None)
        for client in plugin.load_all().values():
            table.add_row(
                client.name,
                client_version(client),
                ", ".join(sorted(client.topologies)),
                "control" if client.control else "",
            )
        out.print(table)
    if what in {None, "servers"}:
        table = Table("server", "version", "licence", "known bugs", box=None)
        for name, spec in load_servers().items():
            bugs = "; ".join(bug.title for bug in spec.bugs)
            table.add_row(name, f"{spec.product} {spec.version}", spec.licence, bugs)
        out.print(table)
