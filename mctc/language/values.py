"""Compile-time values: what a name in a spec can hold besides a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, overload

from mctc.ir.dims import Extent
from mctc.ir.program import Value
from mctc.ir.types import Role, TensorType
from mctc.records import dataclass


@dataclass(frozen=True)
class Measure:
    """The extent of an axis and, as long as it is known, the axis's role: what a dimension's name stands for."""

    extent: Extent
    role: Role | None


@dataclass(frozen=True)
class Quantity:
    """A number with a unit, in the base unit: 's', 'Hz' or 'frames'."""

    value: Fraction
    unit: str


@dataclass(frozen=True)
class SharedParameter:
    """A parameter of the model itself: each component that uses the name reads the same tensor."""

    name: str


class Poison:
    """Stands for a value whose statement failed: what uses it fails silently."""


POISON: Final = Poison()
Constant = bool | int | Fraction | float | str | Measure | Quantity | tuple["Single", ...] | None
"""What is known when a model is compiled; a list may hold tensors."""
Single = Constant | Value
Results = list[Single]  # several results of one call: tensors and, of a block, lists of tensors
Given = Single | Results
"""What an expression gives."""
Bound = Single | SharedParameter | Poison
"""What a name holds."""
Defines = Mapping[str, Constant]
"""Values of a model by name, in place of its own."""
UNITS: dict[str, tuple[str, Fraction]] = {
    "s": ("s", Fraction(1)),
    "ms": ("s", Fraction(1, 1000)),
    "us": ("s", Fraction(1, 1_000_000)),
    "Hz": ("Hz", Fraction(1)),
    "kHz": ("Hz", Fraction(1000)),
    "frames": ("frames", Fraction(1)),
}


@overload
def plain(value: Constant) -> Constant: ...
@overload
def plain(value: Single) -> Single: ...
def plain(value: Single) -> Single:
    """A measure with a known extent as its number; everything else as it is."""
    return known(value) if isinstance(value, Measure) else value


def known(measure: Measure) -> int | Fraction | Measure:
    if not measure.extent.is_static:
        return measure
    return whole(measure.extent.terms[0][1] if measure.extent.terms else Fraction(0))


def whole(value: Fraction) -> int | Fraction:
    return int(value) if value.denominator == 1 else value


def show(value: object) -> str:
    """A value as an author would write it."""
    if isinstance(value, Measure):
        value = known(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Measure):
        return str(value.extent)
    if isinstance(value, Quantity):
        return show_quantity(value)
    if isinstance(value, Value):
        return show_type(value.type)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(show, value)) + "]"
    return str(value)


def show_quantity(value: Quantity) -> str:
    """A quantity in the largest of its units of which there is one or more: 80 ms, 31.25 Hz."""
    units = [(name, value.value / factor) for name, (base, factor) in UNITS.items() if base == value.unit]
    held = [(name, number) for name, number in units if abs(number) >= 1]
    name, number = min(held, key=lambda each: abs(each[1])) if held else units[0]
    return f"{number if number.denominator == 1 else format(float(number), 'g')} {name}"


def describe(value: object) -> str:
    """The kind of a value, for messages: 'a tensor f32[B, T, 80]', 'the number 3'."""
    if isinstance(value, Measure):
        value = known(value)
    if isinstance(value, Value):
        return f"a tensor {show_type(value.type)}"
    kinds = ((bool, "the truth value"), (str, "the string"), (tuple, "the list"), (Measure, "the extent"))
    for kind, words in kinds:
        if isinstance(value, kind):
            return f"{words} {show(value)}"
    if isinstance(value, list):
        return f"{len(value)} tensors"
    if isinstance(value, (int, Fraction, float)):
        return f"the number {show(value)}"
    return show(value)


def show_type(type_: TensorType) -> str:
    """A tensor type as an author would write it: f32[B, T/4, 256]."""
    bound = f" < {type_.bound}" if type_.bound is not None else ""
    return f"{type_.dtype.value}[{', '.join(str(extent) for extent in type_.extents)}]{bound}"
