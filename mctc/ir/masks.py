"""Which inputs are masks: what an op takes as its mask says which frames exist, by ones and zeros, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mctc.ir.domain import MASK, Domain
from mctc.ir.program import Function, Op, Value
from mctc.ir.types import DType

OPERANDS = ("key_mask", "mask")  # what ops call the operand that is their mask


def masks(function: Function) -> list[str]:
    """The inputs that are the mask of an op, whatever else uses them."""
    told = {_cast_from(value) for op in function.ops for value in _masks(op)}
    return [value.name for value in function.inputs if value in told]


def mask_domains(function: Function) -> dict[str, Domain]:
    """The domains of masks; a bool one needs no saying."""
    dtypes, found = {value.name: value.type.dtype for value in function.inputs}, masks(function)
    return {n: replace(MASK, whole=dtypes[n] is DType.I32) for n in found if dtypes[n] is not DType.BOOL}


def _masks(op: Op) -> Iterator[Value]:
    for declared, given in zip(op.definition.operand_list(), op.operands):
        if declared.name in OPERANDS and given is not None:
            yield given


def _cast_from(value: Value) -> Value:
    """What a mask was before it became a number that an op takes."""
    while value.owner is not None and value.owner.name == "cast" and value.owner.operands[0] is not None:
        value = value.owner.operands[0]
    return value
