"""Rows of a tensor that a recipe takes, without the others: a table of words is the largest tensor of many a model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mctc.ir.declared import registry
from mctc.ir.location import Origin
from mctc.ir.op import Array, Op
from mctc.ir.ops.shape import Pad, Reshape, Slice
from mctc.ir.program import Derived, Recipe, Source, Value

ROWS_STAY = frozenset({Pad.name, Reshape.name, Slice.name})

Read = Callable[[Source, int, int], Array | None]
"""Gives rows of a tensor from one to before another; None where it has to be read whole."""


def taken_rows(recipe: Recipe, read: Read) -> Array | None:
    """The value of a recipe that takes some rows of one tensor; None of any other, or where `read` gives none."""
    return _rows(recipe, 0, recipe.type.shape[0], read) if _takes_rows(recipe) else None


def _takes_rows(recipe: Recipe) -> bool:
    """Whether rows stay rows from the tensor to the end, and some are left out."""
    if Slice.name not in _chain(recipe):
        return False
    begin, end = 0, recipe.type.shape[0] if recipe.type.rank else 0
    while isinstance(recipe, Derived):
        op, operand = _op(recipe), recipe.operands[0]
        if operand is None or not operand.type.rank:
            return False
        extent = operand.type.shape[0]
        match op:
            case Slice() if op.position == 0 and op.stride == 1:
                begin, end = begin + op.begin, end + op.begin
            case Reshape() if recipe.type.shape[0] == extent:
                pass
            case Pad() if op.position == 0:
                begin, end = max(begin - op.before, 0), min(end - op.before, extent)
            case _:
                return False
        recipe = operand
    return 0 <= begin < end and end - begin < recipe.type.shape[0]


def _chain(recipe: Recipe | None) -> list[str]:
    """The ops of a recipe from the last one to the tensor, where each of them is one that rows may stay rows in."""
    names: list[str] = []
    while isinstance(recipe, Derived):
        if recipe.op not in ROWS_STAY:
            return []
        names.append(recipe.op)
        (recipe,) = recipe.operands
    return names


def _rows(recipe: Recipe, begin: int, end: int, read: Read) -> Array | None:
    if isinstance(recipe, Source):
        return read(recipe, begin, end)
    op, operand = _op(recipe), recipe.operands[0]
    assert operand is not None
    match op:
        case Slice():
            return _rows(operand, begin + op.begin, end + op.begin, read)
        case Pad():
            first, last = max(begin - op.before, 0), min(end - op.before, operand.type.shape[0])
            found = _rows(operand, first, last, read)
            if found is None or last - first == end - begin:
                return found
            widths = [(first + op.before - begin, end - op.before - last), *[(0, 0)] * (found.ndim - 1)]
            padded: Array = np.pad(found, widths, constant_values=op.value)
            return padded
        case _:
            found = _rows(operand, begin, end, read)
            return None if found is None else found.reshape(end - begin, *recipe.type.shape[1:])


def _op(recipe: Derived) -> Op:
    types = tuple(None if each is None else Value(each.type) for each in recipe.operands)
    return registry()[recipe.op](types, dict(recipe.attributes), Origin())
