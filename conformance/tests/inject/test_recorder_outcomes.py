"""Every way a test can end, seen by the recorder in a foreign pytest."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project


def test_every_outcome_has_its_word(project: Project) -> None:
    project.file(
        test_it="""
        import unittest, pytest

        def test_passes(): pass
        def test_fails(): assert 1 == 2, "one is not two"
        def test_skips(): pytest.skip("not today")

        @pytest.mark.skip(reason="never")
        def test_marked(): pass

        @pytest.mark.xfail(reason="known", strict=False)
        def test_xfails(): assert 0
        @pytest.mark.xfail(reason="known", run=False)
        def test_not_even_run(): pass
        @pytest.mark.xfail(reason="cured", strict=False)
        def test_xpasses(): pass
        @pytest.mark.xfail(reason="cured", strict=True)
        def test_strict(): pass

        @pytest.fixture
        def broken(): raise RuntimeError("no fixture")
        @pytest.fixture
        def broken_after():
            yield
            raise RuntimeError("no clean-up")
        def test_setup(broken): pass
        def test_teardown(broken_after): pass
        def test_both(broken_after): assert False, "the call"
        def test_skip_then_teardown(broken_after): pytest.skip("x")

        class TestUnit(unittest.TestCase):
            def test_unit_passes(self): pass
            def test_unit_fails(self): self.assertEqual(1, 2)
            @unittest.skip("unit reason")
            def test_unit_skips(self): pass
            @unittest.expectedFailure
            def test_unit_xfails(self): self.fail()
            @unittest.expectedFailure
            def test_unit_unexpected(self): pass
        """
    )
    ran = project.run()
    assert ran.outcomes() == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_marked": "skipped",
        "test_xfails": "xfailed",
        "test_not_even_run": "xfailed",
        "test_xpasses": "xpassed",
        "test_strict": "failed",
        "test_setup": "error",
        "test_teardown": "error",
        "test_both": "failed",
        "test_skip_then_teardown": "error",
        "test_unit_passes": "passed",
        "test_unit_fails": "failed",
        "test_unit_skips": "skipped",
        "test_unit_xfails": "xfailed",
        "test_unit_unexpected": "failed",
    }
    messages = {e["id"].rpartition("::")[2]: e["message"] for e in ran.of("test")}
    assert "one is not two" in messages["test_fails"]
    assert messages["test_skips"] == "not today"
    assert messages["test_marked"] == "never"
    assert messages["test_unit_skips"] == "unit reason"
    assert messages["test_xpasses"] == "cured"
    assert messages["test_strict"] == "[XPASS(strict)] cured"
    assert messages["test_setup"] == "setup: RuntimeError: no fixture"
    assert messages["test_teardown"] == "teardown: RuntimeError: no clean-up"
    assert "the call" in messages["test_both"]
    assert "assert 1 == 2" in ran.test("test_fails")["traceback"]
    assert [e["id"] for e in ran.of("start")] == [e["id"] for e in ran.of("test")]
    assert ran.events[-1] == {"e": "end", "exit": 1}
    assert ran.code == 1


def test_a_failed_subtest_fails_the_test(project: Project) -> None:
    project.file(
        test_it="""
        import unittest

        def test_subtests(subtests):
            for i in range(3):
                with subtests.test(i=i):
                    assert i != 1, "the middle one"

        def test_skipping_subtests(subtests):
            import pytest
            with subtests.test("a"):
                pytest.skip("only this part")
            with subtests.test("b"):
                pass

        class TestUnit(unittest.TestCase):
            def test_unit_subtests(self):
                for i in range(3):
                    with self.subTest(i=i):
                        self.assertNotEqual(i, 2, "the last one")
        """
    )
    ran = project.run()
    assert ran.outcomes() == {
        "test_subtests": "failed",
        "test_skipping_subtests": "passed",
        "test_unit_subtests": "failed",
    }
    assert "the middle one" in ran.test("test_subtests")["message"]
    assert "the last one" in ran.test("test_unit_subtests")["message"]


def test_of_several_attempts_the_last_counts(project: Project) -> None:
    # What a plug-in that repeats failures does, in the same hooks and with the same reports.
    project.file(
        conftest="""
        import pytest
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            if item.get_closest_marker("again") is None:
                return None
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for attempt in range(3):
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                for report in reports:
                    if report.failed and attempt < 2:
                        report.outcome = "rerun"
                        item.ihook.pytest_runtest_logreport(report=report)
                        break
                    item.ihook.pytest_runtest_logreport(report=report)
                else:
                    break
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True

        def pytest_configure(config):
            config.addinivalue_line("markers", "again: repeat")
        """,
        test_it="""
        import pytest
        count = {"cured": 0, "never": 0}

        @pytest.mark.again
        def test_cured():
            count["cured"] += 1
            assert count["cured"] == 3

        @pytest.mark.again
        def test_never():
            count["never"] += 1
            assert False, f"attempt {count['never']}"
        """,
    )
    ran = project.run()
    assert ran.outcomes() == {"test_cured": "passed", "test_never": "failed"}
    assert "attempt 3" in ran.test("test_never")["message"]


def test_any_text_becomes_one_valid_line(project: Project) -> None:
    project.file(
        test_it=r"""
        import pytest

        def test_control(): raise RuntimeError("bell \x07 null \x00 esc \x1b[31m end")
        def test_lines(): raise RuntimeError("first\nsecond\r\nthird")
        def test_surrogate(): raise RuntimeError("lone \udc80 \ud800 half")
        def test_emoji(): raise RuntimeError("ключ 🔑")
        def test_long(): raise RuntimeError("x" * 100_000)
        @pytest.mark.parametrize("text", ["a\nb", "slash/::", "é"])
        def test_id(text): pass
        """
    )
    ran = project.run()
    raw = project.cell.with_name("events.jsonl").read_bytes()
    for line in raw.splitlines():
        json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8")
    assert "bell \x07 null \x00 esc \x1b[31m end" in ran.test("test_control")["message"]
    assert ran.test("test_lines")["message"] == "RuntimeError: first second third"
    assert "half" in ran.test("test_surrogate")["message"]
    assert "ключ 🔑" in ran.test("test_emoji")["message"]
    long = ran.test("test_long")
    assert len(long["message"]) <= 2_000
    assert len(long["traceback"]) <= 20_000
    assert "the middle is cut" in long["traceback"]
    assert len(ran.of("test")) == 8


def test_asked_ids_run_in_collected_order(project: Project) -> None:
    project.file(
        test_it="""
        import pytest
        @pytest.mark.parametrize("n", [1, 2, 11])
        def test_n(n): pass
        def test_other(): pass
        """
    )
    asked = ["test_it.py::test_other", "test_it.py::test_gone", "test_it.py::test_n[1]"]
    ran = project.run(ids=asked)
    (collected,) = ran.of("collected")
    assert collected["ids"] == [
        *(f"test_it.py::test_n[{n}]" for n in (1, 2, 11)),
        "test_it.py::test_other",
    ]
    assert collected["missing"] == ["test_it.py::test_gone"]
    assert [e["id"] for e in ran.of("test")] == ["test_it.py::test_n[1]", "test_it.py::test_other"]


def test_collected_is_what_markers_left(project: Project) -> None:
    project.file(
        test_it="""
        import pytest
        pytestmark = pytest.mark.filterwarnings("ignore")
        @pytest.mark.slow
        def test_slow(): pass
        def test_quick(): pass
        """,
        conftest="""
        def pytest_configure(config): config.addinivalue_line("markers", "slow: slow")
        """,
    )
    ran = project.run("-m", "not slow", mode="collect")
    assert ran.of("collected")[0]["ids"] == ["test_it.py::test_quick"]
    assert ran.of("start") == []
    assert ran.of("test") == []
    assert ran.of("end")[0]["exit"] == 0


def test_a_module_that_cannot_be_imported_is_named_and_the_rest_runs(project: Project) -> None:
    project.file(
        test_broken="import nothing_of_that_name",
        test_absent="""
        import pytest
        pytest.skip("whole module", allow_module_level=True)
        """,
        test_good="def test_good(): pass",
    )
    ran = project.run()
    (error,) = ran.of("collect-error")
    assert error["path"] == "test_broken.py"
    assert "nothing_of_that_name" in error["message"]
    (skip,) = ran.of("collect-skip")
    assert (skip["path"], skip["message"]) == ("test_absent.py", "whole module")
    assert ran.outcomes() == {"test_good": "passed"}


def test_a_crash_leaves_a_start_without_an_end(project: Project) -> None:
    project.file(
        test_it="""
        import os
        def test_before(): pass
        def test_crash(): os._exit(9)
        def test_after(): pass
        """
    )
    ran = project.run()
    assert [e["id"] for e in ran.of("start")] == [
        "test_it.py::test_before",
        "test_it.py::test_crash",
    ]
    assert ran.outcomes() == {"test_before": "passed"}
    assert ran.of("end") == []


def test_forked_children_write_nothing(project: Project) -> None:
    project.file(
        test_it="""
        import multiprocessing, os, sys

        def test_child_unwinds_into_pytest():
            if os.fork() == 0:
                raise SystemExit(0)
            os.wait()

        def test_child_fails_and_goes_on():
            pid = os.fork()
            if pid == 0:
                assert False, "in the child"
            os.waitpid(pid, 0)

        def test_multiprocessing():
            process = multiprocessing.get_context("fork").Process(target=print)
            process.start()
            process.join()
            assert process.exitcode == 0

        def test_last(): pass
        """
    )
    ran = project.run("-p", "no:warnings")
    assert len(ran.of("start")) == len(ran.of("test")) == 4
    assert set(ran.outcomes().values()) == {"passed"}
    assert len(ran.of("end")) == 1


def test_closed_descriptors_do_not_end_the_record(project: Project) -> None:
    project.file(
        test_it="""
        import os
        def test_closes_all(): os.closerange(3, 64)
        def test_next(): pass
        """
    )
    ran = project.run("-p", "no:faulthandler", "-s")
    assert ran.outcomes() == {"test_closes_all": "passed", "test_next": "passed"}


def test_a_signal_gives_the_stacks_of_a_hung_test(project: Project) -> None:
    project.file(
        test_it="""
        import time
        def test_hangs_here():
            open("hanging", "w").close()
            time.sleep(120)
        """
    )
    with project.start() as process:
        try:
            deadline = time.monotonic() + 60
            while not (project.folder / "hanging").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(signal.SIGUSR1)
            while "test_hangs_here" not in project.left(0, "").stacks:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert process.poll() is None
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("text", ["", "[]", '{"mode": "run"}'])
def test_a_broken_description_is_a_usage_error(project: Project, text: str) -> None:
    project.file(test_it="def test(): pass")
    env = project.environment()
    project.cell.write_text(text)
    import subprocess

    done = subprocess.run(
        [project.python, "-m", "pytest", "-p", "slotproof_recorder"],
        cwd=project.folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert "cell.json" in done.stderr
