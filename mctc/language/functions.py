"""Functions of compile-time values."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from mctc.language.arithmetic import ORDER, UnsuitableError, binary, is_number
from mctc.language.values import Measure, describe, plain


def _numbers(name: str, values: tuple[Any, ...]) -> list[Any]:
    known = [plain(value) for value in values]
    for value in known:
        if isinstance(value, Measure):
            raise UnsuitableError("MCT0078", f"`{name}` of {value.extent} is not known before run time")
        if not is_number(value):
            raise UnsuitableError("MCT0076", f"`{name}` takes numbers, not {describe(value)}")
    return known


def _one(name: str, values: tuple[Any, ...]) -> Any:
    if len(values) != 1:
        raise UnsuitableError("MCT0076", f"`{name}` takes one value, not {len(values)}")
    return values[0]


def _rounding(name: str, function: Callable[[Any], int]) -> Callable[..., Any]:
    return lambda *values: function(_numbers(name, (_one(name, values),))[0])


def _extreme(name: str, symbol: str) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        items = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        if not items:
            raise UnsuitableError("MCT0076", f"`{name}` needs at least one number")
        best, *rest = _numbers(name, tuple(items))
        for value in rest:
            best = value if ORDER[symbol](value, best) else best
        return best

    return extreme


def _real(name: str, function: Callable[[float], float]) -> Callable[..., Any]:
    def real(*values: Any) -> Any:
        (number,) = _numbers(name, (_one(name, values),))
        try:
            result = function(number)
        except (ValueError, OverflowError):
            raise UnsuitableError("MCT0076", f"`{name}` of {number} is not a number") from None
        return int(result) if isinstance(number, (int, Fraction)) and result == int(result) else result

    return real


def _length(*values: Any) -> int:
    value = _one("len", values)
    if not isinstance(value, (tuple, str)):
        raise UnsuitableError("MCT0076", f"`len` takes a list, not {describe(value)}")
    return len(value)


def _sum(*values: Any) -> Any:
    items = _one("sum", values)
    if not isinstance(items, tuple):
        raise UnsuitableError("MCT0076", f"`sum` takes a list, not {describe(items)}")
    total: Any = 0
    for item in items:
        total = binary("+", total, item)
    return total


def _absolute(*values: Any) -> Any:
    return abs(_numbers("abs", (_one("abs", values),))[0])


def _int(*values: Any) -> int:
    (number,) = _numbers("int", (_one("int", values),))
    if number != int(number):
        raise UnsuitableError("MCT0072", f"{number} is not a whole number", "round it with `floor`, `ceil` or `round`")
    return int(number)


def _float(*values: Any) -> float:
    return float(_numbers("float", (_one("float", values),))[0])


def _round(value: Any) -> int:
    return math.floor(Fraction(value) + Fraction(1, 2))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": _extreme("min", "<"),
    "max": _extreme("max", ">"),
    "ceil": _rounding("ceil", math.ceil),
    "floor": _rounding("floor", math.floor),
    "round": _rounding("round", _round),
    "abs": _absolute,
    "log2": _real("log2", math.log2),
    "log": _real("log", math.log),
    "exp": _real("exp", math.exp),
    "sqrt": _real("sqrt", math.sqrt),
    "len": _length,
    "sum": _sum,
    "int": _int,
    "float": _float,
}
