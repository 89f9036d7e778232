"""Writes the error tables of a trained build.

    python -m bench.trained BUILD TEST.jsonl ... --weights model.safetensors --out tables.md

BUILD streams and has tokens and trained weights; each TEST is a manifest with recordings. What was heard is kept in
--work: a run that was stopped goes on where it was; other tests or another build need another folder. Needs the extras
onnx, train and score. A hundred utterances in minutes: --limit 20 --sample 2 --minutes 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench.machine import describe
from bench.trained import arithmetic, checks, chunks, drift, sets, through
from bench.trained.model import Asked, Model
from mctc.atomic import write_text

TABLES: dict[str, Callable[[Model], str]] = {
    "sets": sets.table,
    "through": through.table,
    "chunks": chunks.table,
    "arithmetic": arithmetic.table,
    "drift": drift.table,
    "checks": checks.table,
}


def main(arguments: list[str]) -> None:
    given = _parser().parse_args(arguments)
    names = given.tables.split(",") if given.tables else list(TABLES)
    if unknown := [name for name in names if name not in TABLES]:
        raise SystemExit(f"there are no tables {', '.join(unknown)}; there are: {', '.join(TABLES)}")
    asked = Asked(given.limit, given.sample, given.minutes, given.jobs)
    model = Model(given.build, given.weights, tuple(given.tests), given.work, asked)
    parts = []
    for name in names:
        parts.append(TABLES[name](model))
        print(parts[-1], flush=True)
    if given.out is not None:
        write_text(given.out, "\n".join([*parts, f"Measured on: {describe()}.\n"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("tests", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, required=True, help="the checkpoint that BUILD was made with")
    parser.add_argument("--work", type=Path, default=Path("build/trained"), help="what is kept (build/trained)")
    parser.add_argument("--limit", type=int, help="utterances of each test; all of them if left out")
    parser.add_argument(
        "--sample", type=int, default=5, help="utterances of each test that the package's evaluator hears (5)"
    )
    parser.add_argument("--minutes", type=int, default=10, help="of the stream that drift is measured on (10)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--tables", metavar="A,B", help=f"of {', '.join(TABLES)}; all if left out")
    parser.add_argument("--out", type=Path, help="where the tables go")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
