"""IR ops as Core AI ops: one file a family, each a table of rules."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.targets.coreai.function import FunctionEmitter, Result
from mctc.targets.coreai.rules import convolution, elementwise, linear, quantize, reduce, shape

RULES = Rules[FunctionEmitter, Result](
    elementwise.RULES | linear.RULES | convolution.RULES | quantize.RULES | reduce.RULES | shape.RULES
)
