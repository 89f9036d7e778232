"""Measures every row of docs/benchmarks.md.

    python bench/run.py --peer PATH/peer_coremltools.py --out docs/benchmarks.md

Run it with a Python that has mctc's dependencies, torch and the test extra. It makes a fresh environment with a wheel
of this tree and measures there (`--here`: in the Python that runs it, with whatever mctc that has).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Exits with 1 when a row isn't met."""
    sys.path[:1] = []  # this folder; the tree comes last, so that `mctc` is the installed one
    sys.path.append(str(ROOT))
    from bench.environment import make_environment, variables

    given = _parser().parse_args(arguments)
    if given.work is not None:
        return _measure(given, given.work)
    with tempfile.TemporaryDirectory(prefix="mctc-bench-") as folder:
        work = Path(folder).resolve()
        python = Path(sys.executable) if given.here else make_environment(ROOT, work)
        command = [str(python), str(Path(__file__).resolve()), *arguments, "--work", str(work)]
        return subprocess.run(command, env=variables()).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="the script that the build is compared with; its rows need it")
    parser.add_argument(
        "--packages", type=Path, help="a folder of models that others made; the row of that name needs it"
    )
    parser.add_argument("--rows", metavar="A,B", help="only these kinds of rows (a wrong name lists them)")
    parser.add_argument("--out", type=Path, help="the file whose measured part is replaced")
    parser.add_argument("--pairs", type=int, default=7, help="runs of each side of a comparison (7)")
    parser.add_argument("--here", action="store_true", help="measure in this Python, make no fresh environment")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    return parser


def _measure(given: argparse.Namespace, work: Path) -> int:
    from bench.process import ProcessError
    from bench.report import markdown, write
    from bench.row import Row
    from bench.rows import ROWS
    from bench.setting import Setting

    names = given.rows.split(",") if given.rows else list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise SystemExit(f"there are no rows {', '.join(unknown)}; there are: {', '.join(ROWS)}")
    setting = Setting(
        ROOT,
        work,
        given.peer and given.peer.resolve(),
        max(1, given.pairs),
        given.packages and given.packages.resolve(),
    )
    rows: list[Row] = []
    for name in names:
        try:
            found = ROWS[name](setting)
        except ProcessError as error:
            found = [Row(name, "", "could not be measured", False, " ".join(str(error).split()))]
        for row in found:
            print(f"{row.what} | {row.must} | {row.measured} | {row.verdict} | {row.note}", flush=True)
        rows += found
    how = "mctc as this Python has it" if given.here else "mctc installed from a wheel into a fresh environment"
    text = markdown(rows, f"{how}, one thread, {os.getloadavg()[0]:.1f} processes running at the end")
    print(f"\n{text}")
    if given.out is not None:
        write(given.out, text)
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
