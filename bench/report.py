"""The measured part of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.machine import describe
from bench.row import Row

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def markdown(rows: Sequence[Row], how: str) -> str:
    """The table, what was measured where, and the notes by the number of their row."""
    numbered = list(enumerate(rows, 1))
    lines = ["| | what | must reach | measured | met |", "|---|---|---|---|---|"]
    lines += [f"| {n} | {row.what} | {row.must} | {row.measured} | {row.verdict} |" for n, row in numbered]
    lines += ["", f"Measured on: {describe()}; {how}.", ""]
    lines += [f"* Row {n}: {row.note}." for n, row in numbered if row.note]
    return "\n".join(lines).rstrip() + "\n"


def write(path: Path, measured: str) -> None:
    """Puts the measured part between its marks in `path`; what else the file says stays as it is."""
    text = path.read_text(encoding="utf-8") if path.is_file() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    if not rest or END not in rest:
        raise SystemExit(f"{path} has no {BEGIN} ... {END} to write between")
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{measured}{END}{after}", encoding="utf-8")
