"""Compile-time arithmetic: exact on whole numbers, fractions and extents; floats only where the author wrote one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from math import isfinite
from typing import TypeGuard, TypeVar

from mctc.ir.dims import Extent, ExtentError
from mctc.ir.types import Role
from mctc.language.limits import CHARACTERS, ENTRIES, NUMBER_BITS
from mctc.language.values import Constant, Measure, Quantity, Single, describe, known, plain, show, whole


class UnsuitableError(Exception):
    """The values do not fit the operator or function. `code` is the diagnostic's."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


Number = int | Fraction | float
ORDER: dict[str, Callable[[Number | str, Number | str], bool]] = {  # of two numbers, or of two strings
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ARITHMETIC: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
Long = TypeVar("Long", str, "tuple[Single, ...]")


def is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, (int, Fraction, float)) and not isinstance(value, bool)


def _counts(value: Single) -> TypeGuard[Number | Measure]:
    return isinstance(value, Measure) or is_number(value)


def binary(symbol: str, left: Single, right: Single) -> Constant:
    """`left symbol right` for compile-time values. Raises UnsuitableError."""
    a, b = plain(left), plain(right)
    if symbol in ("==", "!="):
        return _same(a, b) == (symbol == "==")
    if symbol in ORDER:
        return _ordered(symbol, a, b)
    if (isinstance(left, Measure) or isinstance(right, Measure)) and _counts(left) and _counts(right):
        return _measure(symbol, left, right)
    if is_number(a) and is_number(b):
        return _numbers(symbol, a, b)
    if symbol == "+" and isinstance(a, str) and isinstance(b, str):
        return bounded(a + b)
    if symbol == "+" and isinstance(a, tuple) and isinstance(b, tuple):
        return bounded(a + b)
    if symbol in ("*", "/") and isinstance(a, Quantity) and is_number(b) and b:
        return _times(a, b if symbol == "*" else 1 / _exact(b))
    if symbol == "*" and isinstance(b, Quantity) and is_number(a) and a:
        return _times(b, a)
    raise UnsuitableError("MCT0070", f"`{symbol}` does not work between {describe(a)} and {describe(b)}")


def _times(quantity: Quantity, factor: Number) -> Quantity:
    return Quantity(quantity.value * _exact(factor), quantity.unit)


def _exact(number: Number) -> Fraction:
    """A float as the decimal that it is written as: 0.1 of a second is a tenth of it."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def negative(value: Single) -> Constant:
    return binary("-", 0, value)


def truth(value: Single) -> bool:
    """The truth value that a condition has. Raises UnsuitableError for anything else."""
    if not isinstance(value, bool):
        raise UnsuitableError(
            "MCT0075", f"a condition is true or false, not {describe(value)}", "compare: `x > 0`, `x != none`"
        )
    return value


def _same(a: Single, b: Single) -> bool:
    if isinstance(a, Measure) or isinstance(b, Measure):
        if isinstance(a, Measure) and isinstance(b, Measure) and a.extent == b.extent:
            return True
        if any(isinstance(v, Measure) or is_number(v) for v in (a, b)):
            raise UnsuitableError("MCT0078", f"whether {show(a)} equals {show(b)} is not known before run time")
    if isinstance(a, bool) is not isinstance(b, bool):
        return False
    return bool(a == b)


def _ordered(symbol: str, a: Single, b: Single) -> bool:
    if (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str)):
        return ORDER[symbol](a, b)
    if isinstance(a, Quantity) and isinstance(b, Quantity) and a.unit == b.unit:
        return ORDER[symbol](a.value, b.value)
    if isinstance(a, Measure) or isinstance(b, Measure):
        raise UnsuitableError("MCT0078", f"whether {show(a)} {symbol} {show(b)} is not known before run time")
    raise UnsuitableError("MCT0070", f"`{symbol}` does not work between {describe(a)} and {describe(b)}")


def _numbers(symbol: str, a: Number, b: Number) -> Number:
    try:
        if symbol == "/":
            return a / b if isinstance(a, float) or isinstance(b, float) else whole(Fraction(a) / Fraction(b))
        if symbol == "**":
            return _power(a, b)
        if symbol not in ARITHMETIC:
            raise UnsuitableError("MCT0070", f"`{symbol}` does not work between numbers")
        result = ARITHMETIC[symbol](a, b)
    except ZeroDivisionError:
        raise UnsuitableError("MCT0071", f"{show(a)} {symbol} {show(b)} divides by zero") from None
    except OverflowError:
        raise UnsuitableError("MCT0008", f"{show(a)} {symbol} {show(b)} is too large") from None
    return limited(whole(result) if isinstance(result, Fraction) else result)


def _power(a: Number, b: Number) -> Number:
    if isinstance(a, float) or not isinstance(b, int):
        result: float | None = float(a) ** float(b) if a >= 0 or b == int(b) else None
        if result is None:
            raise UnsuitableError("MCT0070", f"{show(a)} ** {show(b)} is not a real number")
        return result
    bits = max(abs(Fraction(a).numerator).bit_length(), Fraction(a).denominator.bit_length())
    if (bits > 1 and bits * abs(b) > 4 * NUMBER_BITS) or abs(b) > 10_000:
        raise UnsuitableError(
            "MCT0008", f"{show(a)} ** {show(b)} is too large", f"numbers have at most {NUMBER_BITS} bits"
        )
    if a == 0 and b < 0:
        raise ZeroDivisionError
    return limited(whole(Fraction(a) ** b))


def limited(value: Number) -> Number:
    """`value`, if it is not beyond the limit for numbers."""
    if isinstance(value, float):
        if not isfinite(value):
            raise UnsuitableError("MCT0008", "this number is too large", "decimals go up to about 1.8e308")
        return value
    exact = Fraction(value)
    if max(exact.numerator.bit_length(), exact.denominator.bit_length()) > NUMBER_BITS:
        raise UnsuitableError("MCT0008", "this number is too large", f"numbers have at most {NUMBER_BITS} bits")
    return value


def bounded(value: Long) -> Long:
    """`value`, if it is not beyond the limit for strings and lists."""
    if isinstance(value, str) and len(value) > CHARACTERS:
        raise UnsuitableError("MCT0010", f"a string has at most {CHARACTERS:,} characters")
    if isinstance(value, tuple) and _entries(value) > ENTRIES:
        raise UnsuitableError("MCT0010", f"a list has at most {ENTRIES:,} entries")
    return value


def _entries(value: tuple[Single, ...]) -> int:
    """The entries of a list and of those inside it, counted up to the limit."""
    count = len(value)
    for item in value if count <= ENTRIES else ():
        count += _entries(item) if isinstance(item, tuple) else 0
        if count > ENTRIES:
            break
    return count


def _measure(symbol: str, left: Number | Measure, right: Number | Measure) -> Constant:
    """Arithmetic with extents: the role stays while only one is involved."""
    a, b = (v if isinstance(v, Measure) else None for v in (left, right))
    roles = {v.role for v in (a, b) if v is not None}
    role: Role | None = roles.pop() if len(roles) == 1 else None
    x, y = (known(v) if isinstance(v, Measure) else v for v in (left, right))
    if isinstance(x, float) or isinstance(y, float) or not (isinstance(x, Measure) or isinstance(y, Measure)):
        if isinstance(x, Measure) or isinstance(y, Measure):
            raise UnsuitableError("MCT0070", f"`{symbol}` does not work between {describe(x)} and {describe(y)}")
        return _numbers(symbol, x, y)
    p = Extent.of(x.extent if isinstance(x, Measure) else x)
    q = Extent.of(y.extent if isinstance(y, Measure) else y)
    try:
        if symbol == "+":
            return _kept(p + q, role)
        if symbol == "-":
            return _kept(p - q, role)
        if symbol == "*":
            return _kept(p * q, role)
        if symbol == "/":
            if not q.terms:
                raise UnsuitableError("MCT0071", f"{show(x)} / 0 divides by zero")
            return _kept(p / q, role)
        if symbol in ("//", "%") and all(f.denominator == 1 for _, f in (p / q).terms):
            return _kept(p / q, role) if symbol == "//" else 0
    except ExtentError as error:
        raise UnsuitableError("MCT0072", str(error)) from None
    raise UnsuitableError("MCT0078", f"{show(x)} {symbol} {show(y)} is not known before run time")


def _kept(extent: Extent, role: Role | None) -> Constant:
    if len(extent.terms) > 64 or any(len(monomial) > 8 for monomial, _ in extent.terms):
        raise UnsuitableError("MCT0009", "this extent has too many terms")
    for _, factor in extent.terms:
        limited(factor)
    return plain(Measure(extent, role))
