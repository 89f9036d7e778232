"""How much of each sequence one call of a derived function takes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from mctc.ir.program import Function, Program
from mctc.ir.types import Role
from mctc.records import dataclass


@dataclass(frozen=True)
class Lengths:
    """chunk: frames of the base dimension a call. utterance: of a whole utterance, where the spec says so.

    The base is the time dimension of the highest rate among those that components take (`base_dimension`); every other
    one gets its own number of frames for the same time.
    streams: whether components over time are called chunk by chunk; else with the whole utterance at once.
    """

    chunk: int
    utterance: int | None = None
    streams: bool = True


def dimensions(functions: Iterable[Function], role: Role) -> list[str]:
    """The dimensions of open extent that inputs have along axes of `role`, in the order of their names."""
    axes = (axis for function in functions for value in function.inputs for axis in value.type.axes)
    return sorted({symbol for axis in axes if axis.role is role for symbol in axis.extent.symbols})


def base_dimension(program: Program) -> str | None:
    """The time dimension that lengths in frames count, whatever the order of declarations: the fastest one that a
    component takes frames of, the first by name among equals; None where none takes any."""
    found = dimensions(program.functions.values(), Role.TIME)
    return min(found, key=lambda symbol: (-(rate_of(program, symbol) or 0), symbol), default=None)


def rate_of(program: Program, symbol: str | None) -> Fraction | None:
    """Frames a second of a time dimension; None for one without a rate."""
    dim = None if symbol is None else program.dims.get(symbol)
    return None if dim is None else dim.rate


def frames_of(program: Program, symbol: str, base: Fraction | int) -> Fraction:
    """Frames of a time dimension in the time of `base` frames of the base dimension."""
    rate, base_rate = rate_of(program, symbol), rate_of(program, base_dimension(program))
    return Fraction(base) if rate is None or base_rate is None else base * rate / base_rate
