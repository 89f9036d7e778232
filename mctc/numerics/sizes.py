"""Sizes for the symbols of a function: how many frames, labels and sequences it is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm

from mctc.ir.program import Function
from mctc.ir.types import Role, TensorType

FRAMES = 16  # frames of every symbolic dimension but the batch, or the least number that makes all extents whole
BATCH = 2


def symbol_sizes(function: Function, frames: int = FRAMES, batch: int = BATCH) -> dict[str, int]:
    """A size for every symbol, about `frames`, such that every extent in the function is a whole number."""
    sizes: dict[str, int] = {}
    for symbol, role in roles(function).items():
        step = least(function, symbol)
        sizes[symbol] = step * (batch if role is Role.BATCH else max(1, frames // step))
    return sizes


def roles(function: Function) -> dict[str, Role]:
    """The symbols of a function and what they count."""
    values = [v for op in function.ops for v in op.results] + function.inputs
    return dict(sorted({symbol: role for value in values for symbol, role in _symbols(value.type)}.items()))


def least(function: Function, symbol: str) -> int:
    """The least number of `symbol` that makes every extent of the function whole."""
    values = [v for op in function.ops for v in op.results] + function.inputs
    return lcm(*(extent.coefficient(symbol).denominator for value in values for extent in value.type.extents), 1)


def _symbols(type_: TensorType) -> Iterator[tuple[str, Role]]:
    return ((symbol, axis.role) for axis in type_.axes for symbol in axis.extent.symbols)
