"""Write, read and break ``results.jsonl``."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slotproof.errors import EnvironmentProblem, Exit, UsageProblem
from slotproof.model import (
    CellId,
    CellRun,
    Connect,
    Kind,
    LockedTest,
    Observation,
    Outcome,
    SuiteRun,
    Topology,
)
from slotproof.results import decode, encode
from slotproof.results.reader import read, read_benches, read_benchmark
from slotproof.results.records import Bench, BenchFacts, BenchVoid, Header, without_secrets
from slotproof.results.writer import ResultsWriter

REPOSITORY = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((REPOSITORY / "fixtures/schema/results.schema.json").read_text())
BOTH = frozenset(Topology)
CELL = CellId("redis-py", "valkey-py", Topology.CLUSTER, "valkey-8.1")
SUITE = SuiteRun(
    "redis-py",
    "8.1.0",
    "redis-py core",
    "ioredis core",
    "MIT",
    (
        LockedTest("t.py::one", Kind.BLACK_BOX, BOTH, 0.0),
        LockedTest("t.py::two[\u2028 </script>]", Kind.MOCK, frozenset({Topology.CLUSTER}), 0.0),
        LockedTest("t.py::alone", Kind.POKE, frozenset({Topology.STANDALONE}), 0.0),
    ),
)
CELL_RUN = CellRun(CELL, False, "6.2.0", "Valkey 8.1.8", "namespaces", 2)
ENDED = replace(CELL_RUN, seconds=12.5, canary=("127.0.0.1:7001",), server_log="x", complete=True)
PASSED = Observation(CELL, "t.py::one", 0, Outcome.PASSED, 0.25, touches={"get": 2})
FAILED = Observation(
    CELL,
    "t.py::two[\u2028 </script>]",
    0,
    Outcome.FAILED,
    1.5,
    "boom\nü \ud800",
    "Traceback …",
    {"config|resetstat": 1},
    {"127.0.0.1:7000": {"config|resetstat": 1}, "127.0.0.1:7001": {}},
    (Connect("127.0.0.1:7000", "rogue", "rogue.py", 12, True),),
    stats_reset=True,
)
BENCH = Bench("throughput", "redis-py", 8300.5, "1/s", {"threads": 8, "payload": "10 B"})
DROPPED = Bench("throughput", "glide-redis", 1.0, "1/s", {"threads": 8, "payload": "10 B"}, 2)
FACTS = BenchFacts("redis-py", {"parser": "hiredis"})
VOID = BenchVoid("glide-redis", "it died", parameters={"threads": 8})


def header(shard: tuple[int, int] | None = None) -> Header:
    return Header.here(["run", "redis-py"], "quick", [SUITE], shard)


def write(path: Path, *, finish: bool = True) -> Path:
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.cell(CELL_RUN)
        writer.observation(PASSED)
        writer.observation(FAILED)
        writer.cell_end(ENDED)
        writer.bench(BENCH)
        writer.bench(DROPPED)
        writer.bench_facts(FACTS)
        writer.bench_void(VOID)
        if finish:
            writer.finish()
    return path


def test_a_finished_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = read(write(tmp_path / "new" / "results.jsonl"), strict=True)
    assert run.complete
    assert run.suites == (SUITE,)
    assert run.cells == (ENDED,)
    assert run.observations == (PASSED, FAILED)
    assert run.header["profile"] == "quick"
    assert run.header["argv"] == ("run", "redis-py")
    assert str(run.header["finished"]).endswith("Z")
    assert read_benches(tmp_path / "new" / "results.jsonl") == (BENCH,)
    benchmark = read_benchmark(tmp_path / "new" / "results.jsonl")
    assert (benchmark.facts, benchmark.voids) == ((FACTS,), (VOID,))


@pytest.mark.parametrize(
    ("void", "covered"),
    [
        (BenchVoid("redis-py", ""), True),
        (BenchVoid("redis-py", "", "throughput", {"threads": 8}), True),
        (BenchVoid("valkey-py", ""), False),
        (BenchVoid("redis-py", "", "memory"), False),
        (BenchVoid("redis-py", "", parameters={"threads": 1}), False),
        (BenchVoid("redis-py", "", parameters={"threads": 8, "topology": "cluster"}), False),
    ],
)
def test_a_void_covers_the_figures_that_have_all_it_names(void: BenchVoid, covered: bool) -> None:
    assert void.covers(BENCH) is covered


def test_a_figure_keeps_its_round_and_one_without_has_none() -> None:
    for bench in (BENCH, DROPPED):
        line = encode.dump(encode.bench(bench))
        assert decode.bench(decode.load(line)) == bench
        assert (b'"round"' in line) is (bench.round is not None)


def test_a_cell_is_named_with_its_variant_unless_that_is_the_default_one() -> None:
    assert str(CELL) == "redis-py/valkey-py/cluster/valkey-8.1"
    other = replace(CELL, variant="resp2")
    assert str(other) == "redis-py/valkey-py/cluster/valkey-8.1/resp2"
    assert [CellId.parse(str(cell)) for cell in (CELL, other)] == [CELL, other]
    for wrong in ("a/b/cluster", "a/b/ring/d", f"{CELL}/", f"{CELL}/default", f"{other}/x"):
        with pytest.raises(ValueError, match=r"unpack|is no|is not a valid"):
            CellId.parse(wrong)


def test_a_file_of_the_version_before_variants_is_read_as_it_was(tmp_path: Path) -> None:
    new = tmp_path / "results.jsonl"
    with ResultsWriter(new) as writer:
        writer.header(replace(header(), schema=1))
        writer.cell(CELL_RUN)
        writer.observation(PASSED)
        writer.observation(FAILED)
        writer.cell_end(ENDED)
        writer.finish()
    run = read(new, strict=True)
    assert run.complete
    assert run.header["schema"] == 1
    assert {o.cell.variant for o in run.observations} == {"default"}
    jsonschema.validate(json.loads(new.read_bytes().splitlines()[0]), SCHEMA)


def test_every_line_holds_to_the_published_schema(tmp_path: Path) -> None:
    path = write(tmp_path / "results.jsonl", finish=False)
    with ResultsWriter.resume(path) as writer:
        writer.cell(CellRun(replace(CELL, client="x"), True, status="not run: no wheel"))
        writer.cell(CellRun(replace(CELL, variant="x"), True, status="not run: no wheel"))
        writer.finish()
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        validator.validate(line)
    assert {line["type"] for line in lines} == {
        option["$ref"].rsplit("/", 1)[1] for option in SCHEMA["oneOf"]
    }
    assert set(SCHEMA["$defs"]["test"]["properties"]["outcome"]["enum"]) == set(Outcome)
    suite = SCHEMA["$defs"]["suite"]["properties"]
    assert set(suite["tests"]["items"]["prefixItems"][1]["enum"]) == set(Kind)
    assert set(SCHEMA["$defs"]["topology"]["enum"]) == set(Topology)


OBSERVATIONS = st.builds(
    Observation,
    cell=st.just(CELL),
    test=st.text(min_size=1),
    attempt=st.integers(0, 5),
    outcome=st.sampled_from(Outcome),
    seconds=st.floats(0, 1e6).map(lambda s: round(s, 6)),
    message=st.text(st.characters(categories=None)),
    traceback=st.text(),
    touches=st.dictionaries(st.text(), st.integers(0, 2**63)),
    nodes=st.dictionaries(st.text(), st.dictionaries(st.text(), st.integers(0))),
    connects=st.lists(
        st.builds(Connect, st.text(), st.text(), st.text(), st.integers(0), st.booleans())
    ).map(tuple),
    stats_reset=st.booleans(),
)


@given(OBSERVATIONS)
@settings(deadline=None)
def test_any_observation_survives_the_way_there_and_back(seen: Observation) -> None:
    line = encode.dump(encode.observation(seen))
    assert line.count(b"\n") == 1
    assert decode.observation(decode.load(line)) == seen
    jsonschema.validate(json.loads(line), SCHEMA)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "results.jsonl")
    before = path.read_bytes()
    with pytest.raises(UsageProblem, match="exists already") as caught:
        ResultsWriter(path)
    assert "--resume" in caught.value.next_step
    assert path.read_bytes() == before


def test_cut_last_line_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "results.jsonl", finish=False)
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:3]) + whole[3][:20])
    run = read(path)
    assert run.observations == (PASSED,)
    assert not run.complete
    assert f"{path}:4: the line is cut" in run.problems[0]
    assert any("no footer" in p for p in run.problems)
    assert any("never ended" in p for p in run.problems)
    with pytest.raises(UsageProblem, match=r"results\.jsonl:4: the line is cut.*and 2 more"):
        read(path, strict=True)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    data = write(tmp_path / "whole.jsonl").read_bytes()
    path = tmp_path / "cut.jsonl"
    first_line = data.index(b"\n")
    for size in range(0, len(data) - 1, 37):
        path.write_bytes(data[:size])
        if size <= first_line:
            with pytest.raises(UsageProblem):
                read(path)
        else:
            assert read(path).problems


def test_one_changed_byte_breaks_the_checksum(tmp_path: Path) -> None:
    path = write(tmp_path / "results.jsonl")
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"outcome":"failed"', b'"outcome":"passed"'))
    problems = read(path).problems
    assert len(problems) == 1
    assert "checksum" in problems[0]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"attempt":0', b'"attempt":-1', "'attempt': expected a whole number from 0, found -1"),
        (b'"attempt":0', b'"attempt":true', "'attempt'"),
        (b'"outcome":"passed"', b'"outcome":"fine"', 'expected an outcome, found "fine"'),
        (b'"seconds":0.25', b'"seconds":NaN', "not JSON: NaN"),
        (b'"seconds":0.25', b'"seconds":"0"', "'seconds': expected a number"),
        (b'"touches":{"get":2}', b'"touches":{"get":"2"}', "'get': expected a whole number"),
        (b'"type":"test"', b'"type":"tset"', "unknown type of line 'tset'"),
        (b'"test":"t.py::one",', b"", "no field 'test'"),
        (b"/cluster/valkey-8.1", b"/cluster", "suite/client/topology/server"),
        (b'"attempt":0,"outcome":"passed"', b"[" * 100_000, "not JSON"),
    ],
)
def test_a_malformed_line_is_named_with_file_line_and_field(
    tmp_path: Path, old: bytes, new: bytes, says: str
) -> None:
    path = write(tmp_path / "results.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    assert old in lines[2]
    lines[2] = lines[2].replace(old, new, 1)
    path.write_bytes(b"".join(lines))
    run = read(path)
    assert run.problems[0].startswith(f"{path}:3: ")
    assert says in run.problems[0]
    assert FAILED in run.observations


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"schema":2', b'"schema":3', "schema version 3 is unknown"),
        (b'"type":"header"', b'"type":"cell"', "expected the header"),
        (b'"mock"', b'"mocked"', "'mocked' is not a valid Kind"),
        (b'"shard":null', b'"shard":[3,2]', "'shard'"),
        (b"{", b"", "not JSON"),
    ],
)
def test_without_a_readable_header_there_is_no_run(
    tmp_path: Path, old: bytes, new: bytes, says: str
) -> None:
    path = write(tmp_path / "results.jsonl")
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(UsageProblem) as caught:
        read(path)
    assert f"{path}:1: " in caught.value.found
    assert says in caught.value.found
    assert caught.value.exit_code is Exit.USAGE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.data())
@settings(deadline=None)
def test_any_value_in_any_field_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz") / "results.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    number = data.draw(st.integers(0, len(lines) - 1))
    line = json.loads(lines[number])
    before = dict(line)
    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(JSON)
    lines[number] = json.dumps(line).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    try:
        run = read(path)
    except UsageProblem:
        assert number == 0
    else:
        harmless = number == len(lines) - 1 and line["sha256"] == before["sha256"]
        assert run.problems or harmless or line == before


def test_no_file_and_an_empty_file_are_usage_problems(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no such file"):
        read(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(UsageProblem, match="empty"):
        read(tmp_path / "empty.jsonl")


def test_a_folder_is_an_environment_problem(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem):
        read(tmp_path)


def test_a_cell_that_claims_to_be_complete_must_have_every_selected_test(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.cell(CELL_RUN)
        writer.observation(PASSED)
        writer.cell_end(ENDED)
        writer.finish()
    (problem,) = read(path).problems
    assert "1 of 2 selected tests have no record, the first is 't.py::two" in problem


def test_a_cell_that_was_not_run_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    cell = CellRun(CELL, False, status="not run: no wheel for this platform")
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.cell(cell)
        writer.finish()
    assert read(path, strict=True).cells == (cell,)


def test_a_second_record_of_one_attempt_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.cell(CELL_RUN)
        writer.observation(PASSED)
        writer.observation(replace(PASSED, outcome=Outcome.FAILED))
        writer.observation(replace(PASSED, attempt=1))
    run = read(path)
    assert f"{path}:4: a second record of attempt 0" in run.problems[0]
    assert run.observations == (PASSED, replace(PASSED, attempt=1))


def test_a_run_that_was_ended_early_says_so(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.finish(complete=False)
    assert "ended before it was complete" in read(path).problems[0]


@pytest.mark.parametrize("cut", [0, 15])
def test_resume_goes_on_to_the_same_run(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "results.jsonl"
    not_run = replace(FAILED, outcome=Outcome.NOT_RUN, message="interrupted")
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.cell(CELL_RUN)
        writer.observation(PASSED)
        writer.observation(not_run)
        writer.cell_end(replace(ENDED, seconds=2.5, complete=False))
        writer.finish(complete=False)
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])
    with ResultsWriter.resume(path) as writer:
        writer.cell(CELL_RUN)
        writer.observation(FAILED)
        writer.cell_end(replace(ENDED, seconds=10, canary=()))
        writer.finish()
    run = read(path, strict=True)
    assert run.observations == (PASSED, FAILED)
    assert run.cells == (replace(ENDED, canary=("127.0.0.1:7001",), server_log="xx"),)


def test_resume_of_nothing_and_of_rubbish(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no such file"):
        ResultsWriter.resume(tmp_path / "none.jsonl")
    path = tmp_path / "rubbish.jsonl"
    path.write_text("rubbish\n")
    with pytest.raises(UsageProblem, match="line 1 cannot be read"):
        ResultsWriter.resume(path)
    assert path.read_text() == "rubbish\n"


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with (
        ResultsWriter(path) as first,
        pytest.raises(UsageProblem, match="another run is writing"),
    ):
        first.header(header())
        ResultsWriter.resume(path)
    assert read(path).suites == (SUITE,)


def test_a_full_disk_keeps_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.cell(CELL_RUN)
        writer.observation(PASSED)
        kept = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) + 60, before[1]))
        try:
            with pytest.raises(EnvironmentProblem) as caught:
                writer.observation(FAILED)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        with pytest.raises(EnvironmentProblem, match="results so far are kept in"):
            writer.observation(FAILED)
    assert f"results so far are kept in {path}" in caught.value.found
    assert path.read_bytes() == kept
    assert read(path).observations == (PASSED,)


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path) as writer:
        writer.header(header())
        writer.cell(CELL_RUN)

        def work(lane: int) -> None:
            for n in range(200):
                writer.observation(replace(FAILED, test=f"{lane}-{n}", message="m" * 5000))

        threads = [threading.Thread(target=work, args=(lane,)) for lane in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.observation(PASSED)
        writer.observation(FAILED)
        writer.cell_end(ENDED)
        writer.finish()
    assert len(read(path, strict=True).observations) == 802


def test_a_killed_process_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    code = (
        "import os, sys; from pathlib import Path;"
        "from slotproof.results.writer import ResultsWriter;"
        "from slotproof.results.records import Header;"
        "writer = ResultsWriter(Path(sys.argv[1])); writer.header(Header.here([], 'full', []));"
        "os.kill(os.getpid(), 9)"
    )
    package = Path(encode.__file__).parents[2]
    died = subprocess.run(
        [sys.executable, "-c", code, str(path)], env={"PYTHONPATH": str(package)}, check=False
    )
    assert died.returncode == -9
    assert read(path).header["profile"] == "full"


def test_secrets_stay_out_of_the_command_line() -> None:
    argv = (
        "run",
        "--backend=redis://me:s3cr=t@host:7000/0",
        "rediss://:p@ss@host/0?password=s3cret&db=1",
        "--password",
        "s3cret",
        "--auth-token=s3cret",
        "--profile",
        "quick",
        "glide://h1:7001;h2:7002",
    )
    shown = without_secrets(argv)
    assert "s3c" not in " ".join(shown)
    assert "p@ss" not in " ".join(shown)
    assert shown == (
        "run",
        "--backend=redis://me:***@host:7000/0",
        "rediss://:***@host/0?password=***&db=1",
        "--password",
        "***",
        "--auth-token=***",
        "--profile",
        "quick",
        "glide://h1:7001;h2:7002",
    )
    assert Header.here(argv, "quick", []).argv == shown
