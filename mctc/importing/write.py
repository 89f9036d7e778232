"""Writing the parameters of a plan as a safetensors file, a tensor at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mctc.checkpoint_writer import write_tensors
from mctc.importing.plan import ImportPlan
from mctc.ir.program import Program


def write(path: Path, program: Program, plan: ImportPlan, metadata: Mapping[str, str]) -> None:
    """Every parameter of `program` in float32, under its own name. The file is written whole or not at all.

    Raises OSError. The plan must be without problems.
    """
    kinds = {name: ("float32", type_.shape) for name, (type_, _) in program.sources.items()}
    write_tensors(path, kinds, plan.value, metadata)
