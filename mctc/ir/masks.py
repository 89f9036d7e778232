"""Which inputs are masks: what an op takes as its mask says which frames exist, by ones and zeros, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mctc.ir.domain import MASK, Domain
from mctc.ir.ops.elementwise import Cast, Scale
from mctc.ir.ops.shape import Slice, Split
from mctc.ir.program import Function, Op, Value
from mctc.ir.types import DType, Role

NOT = (-1.0, 1.0)  # factor and offset of 1 - m


def masks(function: Function) -> list[str]:
    """The inputs that are the mask of an op, or that one is made of by nothing but ones and zeros, whatever else uses
    them."""
    waiting = [value for op in function.ops for value in mask_operands(op)]
    told: set[Value] = set()
    while waiting:
        value = waiting.pop()
        if value not in told:
            told.add(value)
            waiting += _made_of(value.owner)
    return [value.name for value in function.inputs if value in told]


def mask_domains(function: Function) -> dict[str, Domain]:
    """The domains of masks; a bool one needs no saying."""
    dtypes, found = {value.name: value.type.dtype for value in function.inputs}, masks(function)
    return {n: replace(MASK, whole=dtypes[n] is DType.I32) for n in found if dtypes[n] is not DType.BOOL}


def mask_operands(op: Op) -> Iterator[Value]:
    """What an op takes as its mask."""
    for declared, given in zip(op.fields, op.operands):
        if declared.marks and given is not None:
            yield given


def _made_of(op: Op | None) -> list[Value]:
    """The operands that have to be ones and zeros for the results to be; none where they may be anything."""
    if op is None:
        return []
    operands = [value for value in op.operands if value is not None]
    if isinstance(op, Cast):
        rounds = op.dtype is DType.BOOL or op.x.type.dtype.is_float
        return [] if rounds and op.x.type.dtype is not op.dtype else operands
    if isinstance(op, (Slice, Split)) and not _all_alike(op):
        return []
    if isinstance(op, Scale):
        return operands if (op.factor, op.offset) == NOT else []
    return operands if op.keeps == "marks" else []


def _all_alike(op: Slice | Split) -> bool:
    """Whether a part of a tensor tells what the rest of it is: frames are alike, channels need not be."""
    x = op.x.type
    return x.roles[op.position] in (Role.TIME, Role.LABEL, Role.BATCH)
