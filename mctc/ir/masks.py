"""Which inputs are masks: what an op takes as its mask says which frames exist, by ones and zeros, and nothing else."""

from __future__ import annotations

from mctc.ir.program import Function

OPERANDS = ("key_mask", "mask")  # what ops call the operand that is their mask


def masks(function: Function) -> list[str]:
    """The inputs that are the mask of an op, whatever else uses them."""
    told = {
        given
        for op in function.ops
        for declared, given in zip(op.definition.operand_list(), op.operands)
        if declared.name in OPERANDS
    }
    return [value.name for value in function.inputs if value in told]
