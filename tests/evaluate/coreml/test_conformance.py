"""coremltools' own op tests with the evaluator in the place of Core ML: a few here, all by bench/conformance/run.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

POOL = "iOS14/test_pool.py::TestMaxPool::test_builder_to_backend_smoke"


@pytest.fixture(autouse=True)
def conformance_importable(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tree comes last on the path, so that `mctc` stays the installed one."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(root)])
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "bench"]:
        del sys.modules[name]


def run(root: Path, folder: Path, *arguments: str, **environment: str) -> tuple[int, list[Any]]:
    """The command's exit code and its cases."""
    from bench.conformance.case import read_cases

    command = [sys.executable, str(root / "bench" / "conformance" / "run.py"), "--cases", str(folder / "cases")]
    env = {**os.environ, **environment}
    done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, list(read_cases(folder / "cases"))


def test_the_tests_of_an_op_evaluate_it_in_every_op_set_and_pass(root: Path, tmp_path: Path) -> None:
    code, cases = run(root, tmp_path, "--sample", "1", "--only", POOL)
    assert code == 0
    assert {case.outcome for case in cases} == {"passed"}
    opsets = {program.opset for case in cases for program in case.programs}
    assert opsets == {"CoreML5", "CoreML6", "CoreML7", "CoreML8"}
    assert all("max_pool" in program.ops for case in cases for program in case.programs)


@pytest.mark.slow
def test_a_wrong_evaluator_fails_the_tests_of_coremltools(root: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "from mctc.evaluate.coreml.ops import pool\n"
        "from mctc.evaluate.coreml.declaration import REGISTRY\n"
        "right = pool.max_pool\n"
        "def off(x, *operands, **more): return right(x, *operands, **more) + 2e-3\n"
        "object.__setattr__(REGISTRY['max_pool'], 'operands', REGISTRY['max_pool'].operands)\n"
        "object.__setattr__(REGISTRY['max_pool'], 'function', off)\n"
    )
    code, cases = run(root, tmp_path, "--only", POOL, PYTHONPATH=str(tmp_path), PYTEST_ADDOPTS="-p wrong")
    assert code == 1
    assert {case.outcome for case in cases} == {"failed"}


@pytest.mark.slow
def test_every_op_but_those_left_out_passes_a_test(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    from bench.conformance.coverage import registered
    from bench.conformance.known import LEFT_OUT

    sample = root / "bench" / "conformance" / "sample.txt"
    code, cases = run(root, tmp_path, "--sample", "0", "--select", str(sample))
    assert code == 0
    assert {case.test for case in cases if case.outcome == "passed"} == set(sample.read_text().splitlines())
    evaluated = {name for case in cases for program in case.programs for name in program.ops}
    assert evaluated >= set(registered()) - set(LEFT_OUT)


def test_a_definition_counts_for_every_op_set_that_uses_it_until_a_case_fails() -> None:
    from bench.conformance.case import Case, Program
    from bench.conformance.coverage import shares, tally

    ops = {"exp": {"CoreML5": "old", "CoreML6": "old"}, "gru": {"CoreML5": "old", "CoreML6": "new"}}
    cases = [Case("a", "passed", (Program("CoreML5", ("exp", "gru")),))]
    assert shares(tally(cases), ops)[""] == (1, 2)
    assert shares(tally(cases), ops)["CoreML6"] == (1, 2)
    cases.append(Case("b", "failed", (Program("CoreML6", ("exp",)),), "differs"))
    assert shares(tally(cases), ops)["CoreML5"] == (1, 2)
    assert shares(tally(cases), ops)["CoreML6"] == (0, 2)


def test_a_failure_is_explained_by_test_and_message_together() -> None:
    from bench.conformance.case import Case
    from bench.conformance.known import EXPLAINED, why

    test, message, reason = EXPLAINED[0]
    assert why(Case(f"x::{test}[1]", "failed", (), f"ValueError: {message}")) == reason
    assert why(Case(f"x::{test}[1]", "failed", (), "another")) is None
    assert why(Case("x::another", "failed", (), message)) is None


def test_the_sample_covers_every_op_that_passes_with_few_tests() -> None:
    from bench.conformance.case import Case, Program
    from bench.conformance.sample import cover

    def case(name: str, outcome: str, *ops: str) -> Case:
        return Case(name, outcome, (Program("CoreML5", ops),))

    cases = [case("one", "passed", "add"), case("two", "passed", "add", "mul"), case("three", "failed", "exp"),
             case("four", "passed", "cos")]  # fmt: skip
    assert cover(cases) == ["two", "four"]
