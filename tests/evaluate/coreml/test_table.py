"""Every op is tested and every op is in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.evaluate.coreml.table import op_names, op_table


@pytest.mark.parametrize("name", op_names())
def test_every_op_has_a_test(name: str) -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert f'"{name}"' in tests or f"mb.{name}(" in tests


def test_more_than_ninety_ops_are_there() -> None:
    assert len(op_names()) >= 90


def test_the_documentation_holds_the_table_of_the_code(root: Path) -> None:
    assert op_table() in (root / "docs" / "evaluator.md").read_text()
