"""Constants and parameters."""

from __future__ import annotations

from mctc.driver.names import op_name
from mctc.emit.rules import Rules
from mctc.emit.stored import array_of
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.targets.ane.function import FunctionEmitter

RULES = Rules[FunctionEmitter, None]()


@RULES.of(Constant)
def _constant(op: Constant, e: FunctionEmitter) -> None:
    e.alias(op.result, e.constant(array_of(op), op_name(op), e.is_read_wide(op.result)))


@RULES.of(ParameterOp)
def _parameter(op: ParameterOp, e: FunctionEmitter) -> None:
    e.parameter(op.result, op.parameter)
