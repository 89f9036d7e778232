"""Reductions along one axis, which is kept. MIL calls them as the IR does."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.reduce import TABLE, Reduce
from mctc.targets.ane.function import FunctionEmitter


def _reduce(op: Reduce, e: FunctionEmitter) -> None:
    e.emit(op, op.name, {"x": op.x, "axes": [op.position], "keep_dims": True})


RULES = Rules[FunctionEmitter, None]({f"reduce_{kind}": _reduce for kind in TABLE})
