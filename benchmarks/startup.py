"""How long a 3+3 cluster takes from nothing to ready: ``python benchmarks/startup.py``.

Ready means what it means for a run: every node says that the cluster is up, knows all others and
all slots, and every replica follows its primary. Fetching the server is not counted. Exits 1 when
the median is over the bar.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click
from figures import Figures

from slotproof.errors import SlotproofError
from slotproof.model import Topology
from slotproof.servers import embedded, spec


@click.command(help=__doc__)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--server", default=spec.DEFAULT, show_default=True)
@click.option("--bar", default=3.0, show_default=True, help="Seconds that the median may take.")
def main(rounds: int, server: str, bar: float) -> None:
    try:
        binary = embedded.binary(spec.find(server))
        print(f"{binary.product} {binary.version}, 3 primaries and 3 replicas, {rounds} rounds")
        seconds = Figures([_once(binary) for _ in range(rounds)])
    except SlotproofError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)
    print(f"up in {seconds} s; bar {bar:g} s")
    sys.exit(seconds.median > bar)


def _once(binary: embedded.ServerBinary) -> float:
    with tempfile.TemporaryDirectory(prefix="slotproof-") as folder:
        began = time.perf_counter()
        with embedded.start(binary, Topology.CLUSTER, replicas=1, workdir=Path(folder)):
            seconds = time.perf_counter() - began
    print(f"  {seconds:.2f} s", flush=True)
    return seconds


if __name__ == "__main__":
    main()
