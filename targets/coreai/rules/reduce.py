"""Reductions along one axis, which is kept (coreai's own docstring says that it goes), and softmax."""

from __future__ import annotations

from collections.abc import Callable

from coreai import authoring as ca

from mctc.ir.ops.norm import Softmax
from mctc.ir.ops.reduce import Reduce
from mctc.targets.coreai.function import FunctionEmitter, Rule
from mctc.targets.coreai.rules.operands import signed

REDUCTIONS: dict[str, Callable[..., ca.Value]] = {
    "reduce_sum": ca.reduce_sum,
    "reduce_mean": ca.reduce_mean,
    "reduce_max": ca.reduce_max,
    "reduce_min": ca.reduce_min,
}


def _reduce(op: Reduce, e: FunctionEmitter) -> ca.Value:
    return REDUCTIONS[op.name](e.ref(op.x), signed([op.position]))


def _softmax(op: Softmax, e: FunctionEmitter) -> ca.Value:
    return ca.softmax(e.ref(op.x), signed(op.position))


RULES: dict[str, Rule] = {**dict.fromkeys(REDUCTIONS, _reduce), "softmax": _softmax}
