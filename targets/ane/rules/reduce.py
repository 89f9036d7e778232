"""Reductions along one axis, which is kept."""

from __future__ import annotations

from mctc.ir.ops.reduce import Reduce
from mctc.targets.ane.function import FunctionEmitter, Rule


def _reduce(op: Reduce, e: FunctionEmitter) -> None:
    e.emit(op, op.name, {"x": op.x, "axes": [op.position], "keep_dims": True})


RULES: dict[str, Rule] = {f"reduce_{kind}": _reduce for kind in ("sum", "mean", "max", "min")}
