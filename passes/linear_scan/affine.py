"""Whether what a body leaves in a state is linear in that state, read off its ops.

h' = factor * h + sum of into * (sum over an axis of of * h) + offset: a diagonal matrix, matrices of rank one, and a
drive; none of the terms depends on h. A decayed state has the first and the last, the delta rule (Schlag et al., 2021)
one of the second. Beside that there is h' = max(h + shift, floor), linear where sums are maxima and products are sums.
"""

from __future__ import annotations

from dataclasses import replace

from mctc.ir.dims import Extent
from mctc.ir.loops import Loop
from mctc.ir.op import Op
from mctc.ir.ops.elementwise import Add, Div, Maximum, Mul, Neg, Reciprocal, Scale, Sub
from mctc.ir.ops.loop import ScanState
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.shape import Reshape
from mctc.ir.types import TensorType
from mctc.ir.value import Value
from mctc.passes.linear_scan.algebra import Term, apply, plus, times
from mctc.records import dataclass


@dataclass(frozen=True)
class Read:
    """into * (sum over `axis` of of * h)."""

    into: Term
    of: Value | float
    axis: int


@dataclass(frozen=True)
class Affine:
    """A value of the body as a function of one state. `reads` of several: their sum."""

    factor: Term
    reads: tuple[Read, ...]
    offset: Term


@dataclass(frozen=True)
class Largest:
    """max(h + shift, floor)."""

    shift: Term
    floor: Term


@dataclass(frozen=True)
class Blocked:
    """Neither, because of one op."""

    why: str


Form = Affine | Largest | Blocked


def form_of(loop: Loop, state: ScanState, after: Value) -> Form:
    """What the body leaves in a state, as a function of what it was."""
    forms: dict[Value, Affine] = {state.result: Affine(1.0, (), 0.0)}
    why: dict[Value, str] = {}
    for op in loop.ops:
        known = [value for value in op.present() if value in forms or value in why]
        if not known:
            continue
        found = next((why[value] for value in known if value in why), None) or _through(op, forms)
        if isinstance(found, Affine):
            forms[op.results[0]] = found
        else:
            why.update((result, found) for result in op.results)
    if after in why:
        return _largest(after, forms) or Blocked(why[after])
    return forms.get(after, Affine(0.0, (), after))


def _through(op: Op, forms: dict[Value, Affine]) -> Affine | str:
    """The form of an op's result; in words why it has none."""

    def of(value: Value) -> Affine:
        return forms.get(value, Affine(0.0, (), value))

    match op:
        case Add(left=left, right=right):
            return _sum(of(left), of(right))
        case Sub(left=left, right=right):
            return _sum(of(left), _scaled(of(right), -1.0))
        case Neg(x=x):
            return _scaled(of(x), -1.0)
        case Scale(x=x, factor=factor, offset=offset):
            scaled = _scaled(of(x), float(factor))
            return replace(scaled, offset=plus(scaled.offset, float(offset)))
        case Mul(left=left, right=right) if not (left in forms and right in forms):
            return _scaled(of(left), right) if left in forms else _scaled(of(right), left)
        case Div(left=left, right=right) if right not in forms:
            return _scaled(of(left), apply(Reciprocal, right))
        case ReduceSum(x=x):
            return _reduced(of(x), op)
        case Reshape(x=x) if _has_the_same_axes(x.type, op.result.type) and not isinstance(of(x).factor, Value):
            return _renamed(of(x), op)
    return f"`{op.name}` of it is not linear"


def _sum(a: Affine, b: Affine) -> Affine:
    return Affine(plus(a.factor, b.factor), (*a.reads, *b.reads), plus(a.offset, b.offset))


def _scaled(a: Affine, by: Term) -> Affine:
    reads = tuple(replace(read, into=times(read.into, by)) for read in a.reads)
    return Affine(times(a.factor, by), reads, times(a.offset, by))


def _reduced(a: Affine, op: ReduceSum) -> Affine | str:
    if a.reads:
        return "a sum over a product with such a sum"
    offset = a.offset if a.offset == 0.0 else _full(a, op)
    return Affine(0.0, (Read(1.0, a.factor, op.position),), offset)


def _full(a: Affine, op: ReduceSum) -> Term:
    """The sum of an offset, which may have fewer entries than what is summed."""
    extent = op.x.type.extents[op.position].value
    if isinstance(a.offset, float):
        return a.offset * extent
    summed = apply(ReduceSum, a.offset, axis=op.axis)
    return summed if a.offset.type.extents[op.position].value == extent else times(summed, float(extent))


def _has_the_same_axes(one: TensorType, other: TensorType) -> bool:
    """Whether a reshape gives axes other roles at most, or brings and takes away axes of one entry."""
    longer = [[axis for axis in each.axes if axis.extent != Extent.of(1)] for each in (one, other)]
    return one.extents == other.extents or longer[0] == longer[1]


def _renamed(a: Affine, op: Reshape) -> Affine | str:
    """Behind a reshape that only gives axes other roles."""
    if a.factor != 0.0 or any(isinstance(read.into, Value) for read in a.reads):
        return "`reshape` of it"
    offset = a.offset if isinstance(a.offset, float) else apply(Reshape, a.offset, **op.attributes)
    return replace(a, offset=offset)


def _largest(after: Value, forms: dict[Value, Affine]) -> Largest | None:
    match after.owner:
        case Maximum(left=left, right=right) if (left in forms) != (right in forms):
            moved, floor = (forms[left], right) if left in forms else (forms[right], left)
            if moved.factor == 1.0 and not moved.reads:
                return Largest(moved.offset, floor)
    return None
