"""Functions of compile-time values."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from mctc.ir.program import Value
from mctc.language.arithmetic import ORDER, Number, UnsuitableError, binary, is_number
from mctc.language.limits import ARRAY
from mctc.language.values import Constant, Measure, Single, describe, plain

Function = Callable[..., Constant]
"""From the values of the arguments, in their order, to a compile-time value. Raises UnsuitableError."""

OF_TENSORS = {
    "max": 'of tensors, `maximum(a, b)` is the larger one, `reduce_max(x, "channel")` the largest along an axis',
    "min": 'of tensors, `minimum(a, b)` is the smaller one, `reduce_min(x, "channel")` the smallest along an axis',
    "sum": 'of tensors, `a + b` is the sum, `reduce_sum(x, "channel")` that along an axis',
}


def _number(name: str, value: Single) -> Number:
    known = plain(value)
    if isinstance(known, Measure):
        raise UnsuitableError("MCT0078", f"`{name}` of {known.extent} is not known before run time")
    if not is_number(known):
        hint = OF_TENSORS.get(name) if isinstance(known, Value) else None
        raise UnsuitableError("MCT0076", f"`{name}` takes numbers, not {describe(known)}", hint)
    return known


def _one(name: str, values: tuple[Single, ...]) -> Single:
    if len(values) != 1:
        raise UnsuitableError("MCT0076", f"`{name}` takes one value, not {len(values)}")
    return values[0]


def _simple(name: str, function: Callable[[Number], Number]) -> Function:
    return lambda *values: function(_number(name, _one(name, values)))


def _extreme(name: str, symbol: str) -> Function:
    def extreme(*values: Single) -> Number:
        items = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        if not items:
            raise UnsuitableError("MCT0076", f"`{name}` needs at least one number")
        best, *rest = [_number(name, item) for item in items]
        for value in rest:
            best = value if ORDER[symbol](value, best) else best
        return best

    return extreme


def _real(name: str, function: Callable[[Number], float]) -> Function:
    def real(*values: Single) -> Number:
        number = _number(name, _one(name, values))
        try:
            result = function(number)
        except (ValueError, OverflowError):
            raise UnsuitableError("MCT0076", f"`{name}` of {number} is not a number") from None
        return int(result) if isinstance(number, (int, Fraction)) and result == int(result) else result

    return real


def _length(*values: Single) -> int:
    value = _one("len", values)
    if not isinstance(value, (tuple, str)):
        raise UnsuitableError("MCT0076", f"`len` takes a list, not {describe(value)}")
    return len(value)


def _sum(*values: Single) -> Constant:
    items = _one("sum", values)
    if not isinstance(items, tuple):
        hint = OF_TENSORS["sum"] if isinstance(items, Value) else None
        raise UnsuitableError("MCT0076", f"`sum` takes a list, not {describe(items)}", hint)
    total: Constant = 0
    for item in items:
        total = binary("+", total, item)
    return total


def _arange(*values: Single) -> Constant:
    count = _number("arange", _one("arange", values))
    if count != int(count) or not 0 < count <= ARRAY:
        raise UnsuitableError("MCT0010", f"`arange` counts to a whole number from 1 to {ARRAY:,}, not to {count}")
    return tuple(range(int(count)))


def _int(*values: Single) -> int:
    number = _number("int", _one("int", values))
    if number != int(number):
        raise UnsuitableError("MCT0072", f"{number} is not a whole number", "round it with `floor`, `ceil` or `round`")
    return int(number)


def _float(*values: Single) -> float:
    return float(_number("float", _one("float", values)))


def _role(*values: Single) -> str:
    value = _one("role", values)
    role = value.type.sequence_role if isinstance(value, Value) else value.role if isinstance(value, Measure) else None
    if role is None:
        raise UnsuitableError(
            "MCT0076", f"`role` takes an axis, or a tensor over time or labels, not {describe(value)}"
        )
    return role.value


def _round(value: Number) -> int:
    return math.floor(Fraction(value) + Fraction(1, 2))


FUNCTIONS: dict[str, Function] = {
    "min": _extreme("min", "<"),
    "max": _extreme("max", ">"),
    "ceil": _simple("ceil", math.ceil),
    "floor": _simple("floor", math.floor),
    "round": _simple("round", _round),
    "abs": _simple("abs", abs),
    "log2": _real("log2", math.log2),
    "log": _real("log", math.log),
    "exp": _real("exp", math.exp),
    "sqrt": _real("sqrt", math.sqrt),
    "len": _length,
    "sum": _sum,
    "arange": _arange,
    "int": _int,
    "float": _float,
    "role": _role,
}
