"""Reductions along one axis, which is kept (coreai's own docstring says that it goes), and softmax."""

from __future__ import annotations

from collections.abc import Callable

from coreai import authoring as ca

from mctc.emit.rules import Rules
from mctc.ir.ops.norm import Softmax
from mctc.ir.ops.reduce import Reduce
from mctc.targets.coreai.function import FunctionEmitter, Result
from mctc.targets.coreai.rules.operands import signed

REDUCTIONS: dict[str, Callable[..., ca.Value]] = {
    "reduce_sum": ca.reduce_sum,
    "reduce_mean": ca.reduce_mean,
    "reduce_max": ca.reduce_max,
    "reduce_min": ca.reduce_min,
}


def _reduce(op: Reduce, e: FunctionEmitter) -> Result:
    return REDUCTIONS[op.name](e.ref(op.x), signed([op.position]))


RULES = Rules[FunctionEmitter, Result](dict.fromkeys(REDUCTIONS, _reduce))


@RULES.of(Softmax)
def _softmax(op: Softmax, e: FunctionEmitter) -> Result:
    return ca.softmax(e.ref(op.x), signed(op.position))
