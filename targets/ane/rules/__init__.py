"""IR ops as MIL operations: one file a family, each a table of rules."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.targets.ane.function import FunctionEmitter
from mctc.targets.ane.rules import convolution, elementwise, leaf, linear, norm, quantize, reduce, shape

RULES = Rules[FunctionEmitter, None](
    leaf.RULES
    | elementwise.RULES
    | linear.RULES
    | convolution.RULES
    | norm.RULES
    | quantize.RULES
    | reduce.RULES
    | shape.RULES
)
