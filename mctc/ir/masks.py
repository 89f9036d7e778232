"""Which inputs are masks: what an op takes as its mask says which frames exist, by ones and zeros, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mctc.ir.domain import MASK, Domain
from mctc.ir.program import Function, Op, Value
from mctc.ir.types import DType

OPERANDS = ("key_mask", "mask")  # what ops call the operand that is their mask


def mask_domains(function: Function) -> dict[str, Domain]:
    """What the inputs may be that are the mask of an op, whatever else uses them; bool ones need no saying."""
    told = {_cast_from(value) for op in function.ops for value in _masks(op)}
    found = [value for value in function.inputs if value in told and value.type.dtype is not DType.BOOL]
    return {value.name: replace(MASK, whole=value.type.dtype is DType.I32) for value in found}


def _masks(op: Op) -> Iterator[Value]:
    for declared, given in zip(op.definition.operand_list(), op.operands):
        if declared.name in OPERANDS and given is not None:
            yield given


def _cast_from(value: Value) -> Value:
    """What a mask was before it became a number that an op takes."""
    while value.owner is not None and value.owner.name == "cast" and value.owner.operands[0] is not None:
        value = value.owner.operands[0]
    return value
