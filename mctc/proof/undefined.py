"""Where numbers end: the first op of a program whose result is not finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mctc.evaluate.reference import ParameterValue, evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Op


class _FoundError(Exception):
    """The op was reached: the rest isn't needed."""


def first_undefined(
    function: Function,
    inputs: Mapping[str, Array],
    parameter: ParameterValue,
    state: Mapping[str, Array] | None = None,
    rounding: Any = None,
) -> Op | None:
    """The first op with a result that is not finite, every result rounded to `rounding` if that is given; or None."""
    found: list[Op] = []

    def look(op: Op, arrays: list[Array]) -> None:
        if not all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f"):
            found.append(op)
            raise _FoundError

    try:
        evaluate(function, inputs, parameter, state, observe=look, rounding=rounding)
    except _FoundError:
        return found[0]
    return None


def told(op: Op) -> str:
    """An op with its instance and its line: 'log of encoder.norm at spec/a.mct:5:12'."""
    what = f"parameter {op.attributes['name']}" if op.name == "parameter" else op.name
    path = f" of {op.origin.path}" if op.origin.path else ""
    place = f" at {op.origin.location}" if op.origin.location is not None else ""
    return f"{what}{path}{place}"
