"""Where numbers end: the first op of a program whose result is not finite, or whose operands are beyond its masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from mctc.evaluate.reference import ParameterValue, evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Op, Value
from mctc.ir.rounding import Rounding


class _FoundError(Exception):
    """The op was reached: the rest isn't needed."""


def first_undefined(
    function: Function,
    inputs: Mapping[str, Array],
    parameter: ParameterValue,
    state: Mapping[str, Array] | None = None,
    rounding: Rounding | None = None,
    wide: Collection[Op] = frozenset(),
) -> Op | None:
    """The first op with a result that is not finite, every result but of the ops in `wide` rounded by `rounding` if
    that is given; or None.

    With `rounding` also one whose operands have outgrown it.
    """
    found: list[Op] = []
    limited = [op for op in function.ops if rounding is not None and op.masks]
    needed = {value for op in limited for value in op.operands}
    held: dict[Value | None, Array] = {value: inputs[value.name] for value in function.inputs}

    def look(op: Op, arrays: list[Array]) -> None:
        held.update((value, array) for value, array in zip(op.results, arrays) if value in needed)
        finite = all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")
        if not finite or (op in limited and _outgrown(op, held)):
            found.append(op)
            raise _FoundError

    try:
        evaluate(function, inputs, parameter, state, observe=look, rounding=rounding, wide=wide)
    except _FoundError:
        return found[0]
    return None


def _outgrown(op: Op, held: Mapping[Value | None, Array]) -> bool:
    if not all(value is None or value in held for value in op.operands):
        return False  # of a state
    return op.outgrown(*(held[value] for value in op.present()))


def told(op: Op) -> str:
    """An op with its instance and its line: 'log of encoder.norm at spec/a.mct:5:12'."""
    what = f"parameter {op.attributes['name']}" if op.name == "parameter" else op.name
    path = f" of {op.origin.path}" if op.origin.path else ""
    place = f" at {op.origin.location}" if op.origin.location is not None else ""
    return f"{what}{path}{place}"
