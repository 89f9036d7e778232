"""What a program is trained for, with the defaults of its settings."""

from __future__ import annotations

from typing import Any

from mctc.ir.program import Program
from mctc.objectives.settings import complete


def objective_of(program: Program) -> dict[str, Any] | None:
    """The settings of the objective with their defaults; None where none is told."""
    told = program.train.call("objective")
    return None if told is None else complete(*told)
