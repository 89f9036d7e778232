"""docs/metal.md shows the faults that are seeded, and no others."""

from __future__ import annotations

from pathlib import Path

from .faults import FAULTS, table


def test_the_table_of_faults_is_current(root: Path) -> None:
    document = (root / "docs" / "metal.md").read_text()
    assert table() in document, "write it anew with: python -m tests.metal.faults"


def test_every_fault_is_told_apart() -> None:
    rows = [(fault.what, fault.within or fault.kernel) for fault in FAULTS]
    assert len(set(rows)) == len(rows)
