"""Constants and parameters."""

from __future__ import annotations

import numpy as np

from mctc.driver.names import op_name, place
from mctc.ir.op import Array
from mctc.ir.program import Op
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import FunctionEmitter, Rule


def constant_array(op: Op) -> Array:
    """The value of a constant op, in the element type of its result."""
    array = np.asarray(op.attributes["value"])
    return array.astype(np.float64) if op.result.type.dtype.is_float else array


def _constant(op: Op, e: FunctionEmitter) -> None:
    try:
        e.alias(op.result, e.constant(constant_array(op), op_name(op)))
    except EmitError as error:
        raise EmitError(f"{place(op)}: {error}") from error


def _parameter(op: Op, e: FunctionEmitter) -> None:
    e.parameter(op.result, op.attributes["name"])


RULES: dict[str, Rule] = {"constant": _constant, "parameter": _parameter}
