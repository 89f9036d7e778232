"""Runs coremltools' own tests of MIL ops with mctc's evaluator in the place of Core ML.

    python bench/conformance/run.py --out docs/evaluator-coverage.md

Run it with a Python that has mctc, torch and pytest. Exits with 1 when a case fails that `known` doesn't explain.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = Path("converters", "mil", "mil", "ops", "tests")
SAMPLE = Path(__file__).with_name("sample.txt")
LOAD = f"import sys, pytest; sys.path.append({str(ROOT)!r}); sys.exit(pytest.main(sys.argv[1:]))"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=3, help="runs of a test for an op and op set (3; 0: all)")
    parser.add_argument("--only", default="", help="a file or class of theirs, e.g. iOS14/test_pool.py::TestAvgPool")
    parser.add_argument("--select", type=Path, help="a file with names of tests: only these are run")
    parser.add_argument("--cases", type=Path, help="keeps what every test showed, a line of JSON each")
    parser.add_argument("--read", action="store_true", help="run nothing: write the page of the cases kept before")
    parser.add_argument("--out", type=Path, help=f"the page to write; {SAMPLE.name}, for the test suite, with it")
    given = parser.parse_args(arguments)
    sys.path[:1] = []  # this folder; the tree comes last, so that `mctc` is the installed one
    sys.path.append(str(ROOT))
    from bench.conformance.case import read_cases
    from bench.conformance.known import why
    from bench.conformance.page import page
    from bench.conformance.sample import cover

    with tempfile.TemporaryDirectory(prefix="mctc-conformance-") as folder:
        path = (given.cases or Path(folder, "cases.jsonl")).resolve()
        if not given.read:
            _run(path, Path(folder), given)
        cases = list(read_cases(path))
    unexplained = [case for case in cases if case.outcome == "failed" and why(case) is None]
    for case in unexplained:
        print(f"{case.test}: {case.reason[:300]}")
    if given.out is not None:
        given.out.write_text(page(cases, given.sample), encoding="utf-8")
        SAMPLE.write_text("\n".join(cover(cases)) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases, {len(unexplained)} failures without an explanation")
    return int(bool(unexplained))


def _run(cases: Path, folder: Path, given: argparse.Namespace) -> None:
    """pytest, in a process and a folder of its own: the temporary packages of all programs go with it."""
    found = find_spec("coremltools")
    assert found is not None
    assert found.origin is not None
    root = Path(found.origin).parent
    options = ["-q", "-p", "no:cacheprovider", "-p", "bench.conformance.plugin", "-W", "ignore", "--runxfail"]
    settings = ["--tb=line", "--cases", str(cases), "--sample", str(given.sample)]
    settings += ["--select", str(given.select.resolve())] if given.select else []
    places = ["-c", "/dev/null", "--rootdir", str(root), str(root / TESTS / given.only)]
    places += [] if given.only else [str(Path(__file__).with_name("untested_ops.py"))]
    environment = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-c", LOAD, *options, *settings, *places]
    subprocess.run(command, cwd=folder, env=environment, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
