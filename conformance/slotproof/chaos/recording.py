"""Where figures go: a results file of their own, or that of a finished run beside its matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slotproof.results.reader import read
from slotproof.results.records import Bench, BenchFacts, BenchVoid, Header
from slotproof.results.writer import ResultsWriter

PROFILE = "chaos"
Line = Bench | BenchFacts | BenchVoid
Record = Callable[[Iterable[Line]], None]


@contextmanager
def recording(path: Path, argv: Sequence[str]) -> Iterator[Record]:
    """Write figures into a new results file as they come.

    When the block ends early the file stays, and says that it is not whole.
    """
    with ResultsWriter(path) as writer:
        writer.header(Header.here(argv, PROFILE, ()))
        try:
            yield lambda lines: _write(writer, lines)
        except BaseException:
            writer.finish(complete=False)
            raise
        writer.finish()


@contextmanager
def adding(path: Path) -> Iterator[Record]:
    """Add figures to the results of a finished run, all at the end of the block or none.

    Raises UsageProblem at once when there is no such run or it is not whole: figures must not make
    a torso look finished.
    """
    read(path, strict=True)
    kept: list[Line] = []
    yield kept.extend
    with ResultsWriter.resume(path) as writer:
        _write(writer, kept)
        writer.finish()


def _write(writer: ResultsWriter, lines: Iterable[Line]) -> None:
    for line in lines:
        match line:
            case Bench():
                writer.bench(line)
            case BenchFacts():
                writer.bench_facts(line)
            case BenchVoid():
                writer.bench_void(line)
