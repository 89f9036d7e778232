"""Reductions along one axis, which is kept."""

from __future__ import annotations

from mctc.ir.program import Op
from mctc.targets.ane.function import FunctionEmitter, Rule


def _reduce(op: Op, e: FunctionEmitter) -> None:
    x = op.operands[0]
    assert x is not None
    e.emit(op, op.name, {"x": x, "axes": [op.signature.axis("x")], "keep_dims": True})


RULES: dict[str, Rule] = {f"reduce_{kind}": _reduce for kind in ("sum", "mean", "max", "min")}
