"""The command line. One module a command; this one puts them together."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.text import Text

from slotproof import __version__
from slotproof.cli.bench import bench
from slotproof.cli.chaos import chaos
from slotproof.cli.common import INTERRUPTED
from slotproof.cli.doctor import doctor
from slotproof.cli.gate import gate
from slotproof.cli.list import list_
from slotproof.cli.lock import lock
from slotproof.cli.report import report
from slotproof.cli.run import run
from slotproof.cli.up import up
from slotproof.errors import Exit, SlotproofError
from slotproof.names import did_you_mean


class Commands(click.Group):
    """A group that suggests the command that was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion on an unknown name."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="slotproof")
def group() -> None:
    """Prove, on a real Valkey or Redis cluster, that a library works through a given client.

    slotproof runs upstream test suites, unmodified and locked by hash, through a client on servers
    of its own, proves that the commands really went through that client, and blames each failure
    on the right party.

    \b
    Start here:
      slotproof run --profile quick        the matrix, in a few minutes
      slotproof up --topology cluster      a 3+3 cluster to play with, until Ctrl-C
      slotproof list                       suites, clients and servers there are

    \b
    Exit codes: 0 held, 1 regression, 2 usage, 3 environment, 130 interrupted.
    """


for command in (run, report, gate, bench, chaos, up, list_, lock, doctor):
    group.add_command(command)


def main() -> None:
    """Entry point: every foreseeable problem is a few clear lines and the documented exit code."""
    try:
        code = group.main(standalone_mode=False)
    except SlotproofError as error:
        Console(stderr=True).print(Text(error.render(), "red"), soft_wrap=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        Console(stderr=True).print("interrupted")
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; there is nobody left to tell.
        sys.stderr.close()
        code = Exit.ENVIRONMENT
    sys.exit(int(code or 0))
