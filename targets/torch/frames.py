"""Frames of a value over time: how many there are for each that utterances are counted in, and which exist."""

from __future__ import annotations

from fractions import Fraction

from mctc.ir.dims import Extent
from mctc.ir.program import Value
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.targets.torch.expressions import Expression, Text


@dataclass(frozen=True)
class Frames:
    """The frames of an input over time: so many for each of those that lengths count, in whole strides of `multiple`.

    batched: each utterance has its own. silence: what stands in those that do not exist.
    """

    rate: Fraction
    multiple: int
    batched: bool
    silence: float


def times_of(extent: Extent) -> Fraction:
    """n of an extent of n*T; 0 for any other."""
    symbol = next(iter(extent.symbols), "")
    times = extent.coefficient(symbol)
    return times if extent == Extent.of(symbol) * times else Fraction(0)


def frames_axis(value: Value) -> int | None:
    """Where frames lie of which some may not exist; of what is left of an utterance, as of its mean, all of it does."""
    axis, type_ = value.type.sequence, value.type
    over_time = axis is not None and type_.roles[axis] is Role.TIME and not type_.extents[axis].is_static
    return axis if over_time else None


def is_counted(extent: Extent) -> bool:
    """Whether it is n*T with a known number in front."""
    symbol = next(iter(extent.symbols), "")
    return extent - in_front_of(extent) == Extent.of(symbol) * extent.coefficient(symbol)


def in_front_of(extent: Extent) -> Fraction:
    """n of an extent of T/4 + n."""
    return dict(extent.terms).get((), Fraction(0))


def at_rate(rate: Fraction, in_front: int = 0) -> Text:
    """The mask of frames at another rate, with so many more before them."""
    text = "valid" if rate.denominator == 1 else f"valid[:, ::{rate.denominator}]"
    text = text if rate.numerator == 1 else f"{text}.repeat_interleave({rate.numerator}, 1)"
    return Expression(f"begun_by({text}, {in_front})", frozenset({"begun_by"})) if in_front else text
