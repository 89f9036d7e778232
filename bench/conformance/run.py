"""Runs coremltools' own tests of MIL ops with mctc's evaluator in the place of Core ML.

    python bench/conformance/run.py --out docs/evaluator-coverage.md

Run it with a Python that has mctc, torch and pytest. Exits with 1 when a case fails that `known` doesn't explain.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = Path("converters", "mil", "mil", "ops", "tests")
LOAD = f"import sys, pytest; sys.path.append({str(ROOT)!r}); sys.exit(pytest.main(sys.argv[1:]))"
HEAD = """# What coremltools' own tests say about the evaluator

Written by `python bench/conformance/run.py --sample {sample} --out docs/evaluator-coverage.md`, not by hand.

coremltools {coremltools} ships the tests of its MIL ops. They build a program of an op, convert it, predict with
Core ML and compare with values that are written out or come from numpy, scipy or torch. Here they run where they are
installed, as they are, with one thing replaced: mctc's evaluator predicts, from the package that was written, in fp32.
Their comparison and tolerances stay (1e-4 absolute and 1e-5 relative, unless a test says otherwise); a test that is
marked as failing in Core ML is run all the same. {sampling}

{cases:,} cases: {passed:,} passed, {failed:,} failed, {skipped:,} were skipped by the tests themselves. {evaluated:,}
of those that passed evaluated a program; the others are about the builder. An op counts as evaluated correctly in an
op set when cases with its definition there passed and none failed, but for those listed below with their reason. Few
op sets bring definitions of their own: most take over the older one.

Of some ops or definitions no test evaluates a program. Theirs are in `bench/conformance/untested_ops.py`, with expected
values of numpy, torch and onnxruntime."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=3, help="runs of a test for an op and op set (3; 0: all)")
    parser.add_argument("--only", default="", help="a file or class of theirs, e.g. iOS14/test_pool.py::TestAvgPool")
    parser.add_argument("--cases", type=Path, help="keeps what every test showed, a line of JSON each")
    parser.add_argument("--out", type=Path, help="the page to write")
    given = parser.parse_args(arguments)
    sys.path[:1] = []  # this folder; the tree comes last, so that `mctc` is the installed one
    sys.path.append(str(ROOT))
    from bench.conformance.case import read_cases
    from bench.conformance.coverage import page
    from bench.conformance.known import why

    with tempfile.TemporaryDirectory(prefix="mctc-conformance-") as folder:
        path = (given.cases or Path(folder, "cases.jsonl")).resolve()
        _run(path, Path(folder), given.sample, given.only)
        cases = list(read_cases(path))
    outcomes = Counter(case.outcome for case in cases)
    unexplained = [case for case in cases if case.outcome == "failed" and why(case) is None]
    for case in unexplained:
        print(f"{case.test}: {case.reason[:300]}")
    sampling = f"Each test is run at most {given.sample} times for an op and an op set." if given.sample else ""
    head = HEAD.format(
        sample=given.sample, coremltools=version("coremltools"), sampling=sampling, cases=len(cases),
        evaluated=sum(case.outcome == "passed" and bool(case.programs) for case in cases),
        **{outcome: outcomes[outcome] for outcome in ("passed", "failed", "skipped")},
    )  # fmt: skip
    text = page(cases, "\n\n".join(fill(part, 120) for part in head.split("\n\n")))
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    print(text.partition("## By op")[0])
    return int(bool(unexplained))


def _run(cases: Path, folder: Path, sample: int, only: str) -> None:
    """pytest, in a process and a folder of its own: the temporary packages of all programs go with it."""
    found = find_spec("coremltools")
    assert found is not None
    assert found.origin is not None
    root = Path(found.origin).parent
    options = ["-q", "-p", "no:cacheprovider", "-p", "bench.conformance.plugin", "-W", "ignore", "--runxfail"]
    places = ["-c", "/dev/null", "--rootdir", str(root), str(root / TESTS / only)]
    places += [] if only else [str(Path(__file__).with_name("untested_ops.py"))]
    settings = ["--tb=line", "--cases", str(cases), "--sample", str(sample)]
    subprocess.run([sys.executable, "-c", LOAD, *options, *settings, *places], cwd=folder, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
