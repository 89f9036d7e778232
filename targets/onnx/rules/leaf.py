"""Constants and parameters."""

from __future__ import annotations

import numpy as np

from mctc.ir.program import Op
from mctc.targets.onnx.graph import ELEMENTS, GraphEmitter, Rule


def _constant(op: Op, e: GraphEmitter) -> str:
    return e.constant(np.asarray(op.attributes["value"]).astype(ELEMENTS[op.result.type.dtype]))


def _parameter(op: Op, e: GraphEmitter) -> str:
    return e.parameter(op.attributes["name"])


RULES: dict[str, Rule] = {"constant": _constant, "parameter": _parameter}
