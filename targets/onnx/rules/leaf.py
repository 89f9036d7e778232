"""Constants and parameters."""

from __future__ import annotations

import numpy as np

from mctc.emit.rules import Rules
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.targets.onnx.graph import ELEMENTS, GraphEmitter, Result

RULES = Rules[GraphEmitter, Result]()


@RULES.of(Constant)
def _constant(op: Constant, e: GraphEmitter) -> str:
    return e.constant(np.asarray(op.value).astype(ELEMENTS[op.result.type.dtype]))


@RULES.of(ParameterOp)
def _parameter(op: ParameterOp, e: GraphEmitter) -> str:
    return e.parameter(op.parameter)
