"""Whether a state is a matrix that is decayed and written to by keys and values, and what they are."""

from __future__ import annotations

from functools import reduce

from mctc.ir.ops.elementwise import Add, Mul, Scale, Sub
from mctc.ir.ops.loop import ScanState
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.types import Role, TensorType
from mctc.ir.value import Value
from mctc.passes.linear_scan.affine import Affine
from mctc.passes.linear_scan.algebra import Term, logarithm, times
from mctc.records import dataclass

CHANNEL, FEATURE = 1, 2  # axes of a laid-out tensor: values lie along channels, keys along features


def axes_of(like: TensorType) -> tuple[int, int]:
    """The axes of channels and features of a state: those of a laid-out one, or where its roles say."""
    if like.sequence == 3:
        return CHANNEL, FEATURE
    at = like.find(Role.CHANNEL), like.find(Role.FEATURE)
    return (-1 if at[0] is None else at[0], -1 if at[1] is None else at[1])


def _extents(value: Value, like: TensorType) -> tuple[int, int]:
    """How many channels and features a value has beside a state: 1 where it has no such axis; 0 where it meets the
    state by the places of its axes and not by their roles."""
    type_ = value.type
    if like.sequence == 3:
        return (type_.extents[CHANNEL].value, type_.extents[FEATURE].value) if type_.rank == 4 else (0, 0)
    if not type_.rank or Role.PLAIN in type_.roles:
        return 0, 0
    at = type_.find(Role.CHANNEL), type_.find(Role.FEATURE)
    return (1 if at[0] is None else type_.extents[at[0]].value, 1 if at[1] is None else type_.extents[at[1]].value)


@dataclass(frozen=True)
class Matrix:
    """decay: 1.0 for none; log: of it, where that is known. written: keys and values. into, of: of a term of rank one,
    or None."""

    decay: Term
    log: Term | None
    written: tuple[tuple[Value, Value], ...]
    into: Value | None = None
    of: Value | None = None


@dataclass(frozen=True)
class _Product:
    """number * keys * values."""

    number: float
    keys: tuple[Value, ...]
    values: tuple[Value, ...]

    def __mul__(self, other: _Product) -> _Product:
        return _Product(self.number * other.number, self.keys + other.keys, self.values + other.values)


def matrix_of(state: ScanState, form: Affine) -> Matrix | None:
    """A state as such a matrix; None for one that is written to in another way, or whose decay is a channel's."""
    like = state.result.type
    channels, features = _extents(state.result, like)
    if min(channels, features) < 2 or not (isinstance(form.factor, float) or _extents(form.factor, like)[0] == 1):
        return None
    products = [] if form.offset == 0.0 else _products(form.offset, like)
    written = [] if products is None else [_written(each, like, channels, features) for each in products]
    if products is None or not all(written) or len(form.reads) > 1:
        return None
    into: Value | None = None
    of: Value | None = None
    for read in form.reads:
        into = read.into if isinstance(read.into, Value) and is_key(read.into, like) else None
        of = read.of if isinstance(read.of, Value) and is_key(read.of, like) else None
        if into is None or of is None or read.axis != axes_of(like)[1]:
            return None
    if into is None and not written:
        return None
    return Matrix(form.factor, logarithm(form.factor), tuple(pair for pair in written if pair), into, of)


def query_of(op: ReduceSum, held: Value) -> Value | None:
    """The query, where an op reads a state by one: the sum over features of held * query."""
    product, like = op.x.owner, held.type
    if op.x.type.rank != 4 or op.position != axes_of(like)[1] or not isinstance(product, Mul):
        return None
    for one, other in ((product.left, product.right), (product.right, product.left)):
        if one is held and is_key(other, like):
            return other
    return None


def is_key(value: Value, like: TensorType) -> bool:
    """Whether a value has a number a feature of a state and none a channel."""
    return _extents(value, like) == (1, like.extents[axes_of(like)[1]].value)


def _products(term: Term, like: TensorType) -> list[_Product] | None:
    """A term as a sum of products of keys and values."""
    if isinstance(term, float):
        return None
    channels, features = _extents(term, like)
    if channels == 1:
        return [_Product(1.0, (term,), ())]
    if features == 1:
        return [_Product(1.0, (), (term,))]
    match term.owner:
        case Mul(left=left, right=right):
            one, two = _products(left, like), _products(right, like)
            if one is None or two is None or min(len(one), len(two)) > 1:
                return None
            return [a * b for a in one for b in two]
        case Add(left=left, right=right):
            return _joined(_products(left, like), _products(right, like), 1.0)
        case Sub(left=left, right=right):
            return _joined(_products(left, like), _products(right, like), -1.0)
        case Scale(x=x, factor=factor, offset=0.0):
            return _joined([], _products(x, like), float(factor))
    return None


def _joined(one: list[_Product] | None, two: list[_Product] | None, sign: float) -> list[_Product] | None:
    return None if one is None or two is None else [*one, *(_Product(sign, (), ()) * each for each in two)]


def _written(product: _Product, like: TensorType, channels: int, features: int) -> tuple[Value, Value] | None:
    if not product.keys or not product.values:
        return None
    key, value = (reduce(_times, factors) for factors in (product.keys, product.values))
    key = _times(key, product.number)
    fits = _extents(key, like)[1] == features and _extents(value, like)[0] == channels
    return (key, value) if fits else None


def _times(a: Value, b: Term) -> Value:
    made = times(a, b)
    assert isinstance(made, Value)
    return made
