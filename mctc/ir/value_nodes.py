"""Values of settings, types and extents in the textual IR: from tokens, as lark hands them on, to Python's own."""

from __future__ import annotations

import json
from fractions import Fraction

from lark import Token, Transformer, v_args

from mctc.ir.attribute_value import AttributeValue
from mctc.ir.dims import Extent, ExtentError
from mctc.ir.section import Call
from mctc.ir.syntax import IrSyntaxError, ProgramText, Setting
from mctc.ir.types import Axis, DType, Role, TensorType

NUMBER_BITS = 256  # of the coefficients of an extent
TERMS = 100  # of an extent


def unquoted(token: str, line: int) -> str:
    try:
        text = json.loads(token) if token.startswith('"') else str(token)
    except ValueError as error:
        raise IrSyntaxError(f"{token} is no string", line) from error
    return str(text)


@v_args(inline=True)
class ValueNodes(Transformer[Token, ProgramText]):
    """One method a rule of text.lark that gives a value."""

    def call(self, name: Token, *settings: Setting) -> Call:
        return str(name), {s.name: s.value for s in settings}

    def setting(self, name: Token, value: AttributeValue) -> Setting:
        return Setting(str(name), value)

    def quoted_setting(self, name: Token, value: AttributeValue) -> Setting:
        return Setting(self.string(name), value)

    def nothing(self) -> None:
        return None

    def true(self) -> bool:
        return True

    def false(self) -> bool:
        return False

    def whole(self, digits: Token) -> int:
        return int(digits)

    def negative(self, digits: Token) -> int:
        return -int(digits)

    def fraction(self, over: int, under: Token) -> Fraction:
        return fraction_of(over, under)

    def number(self, token: Token) -> float:
        return float(token)

    def word(self, token: Token) -> str:
        return str(token)

    def string(self, token: Token) -> str:
        return unquoted(token, token.line or 1)

    def measure(self, extent: Extent) -> Extent:
        return extent

    def axis(self, role: Token, extent: Extent) -> tuple[str, int | Extent]:
        return str(role), extent.value if _whole(extent) else extent

    def list(self, *values: AttributeValue) -> tuple[AttributeValue, ...]:
        return values

    def mapping(self, *settings: Setting) -> dict[str, AttributeValue]:
        return {s.name: s.value for s in settings}

    # types and extents

    def type(self, dtype: Token, axes: tuple[Axis, ...], bound: Extent | None) -> TensorType:
        return TensorType(DType(str(dtype)), axes, bound)

    def axes(self, *axes: Axis) -> tuple[Axis, ...]:
        return axes

    def role_axis(self, role: Token, extent: Extent) -> Axis:
        return Axis(Role(str(role)), extent)

    def plain_axis(self, extent: Extent) -> Axis:
        return Axis(Role.PLAIN, extent)

    def integer(self, digits: Token) -> Extent:
        return Extent.of(int(digits))

    def symbol(self, name: Token) -> Extent:
        return Extent.of(str(name))

    def negated(self, extent: Extent) -> Extent:
        return extent * -1

    def plus(self, left: Extent, right: Extent) -> Extent:
        return _bounded(left + right)

    def minus(self, left: Extent, right: Extent) -> Extent:
        return _bounded(left - right)

    def times(self, left: Extent, right: Extent) -> Extent:
        return _bounded(left * right)

    def over(self, left: Extent, right: Extent) -> Extent:
        try:
            return _bounded(left / right)
        except (ExtentError, ZeroDivisionError) as error:
            raise IrSyntaxError(f"{left} cannot be divided by {right}", 1) from error


def _bounded(extent: Extent) -> Extent:
    """The extent. Raises IrSyntaxError for one that no program has: a product of sums grows without a limit."""
    for powers, factor in extent.terms:
        if len(powers) > TERMS or max(abs(factor.numerator), factor.denominator).bit_length() > NUMBER_BITS:
            raise IrSyntaxError("an extent of numbers that are too large", 1)
    if len(extent.terms) > TERMS:
        raise IrSyntaxError(f"an extent of more than {TERMS} terms", 1)
    return extent


def fraction_of(over: int, under: Token | None) -> Fraction:
    if under is not None and int(under) == 0:
        raise IrSyntaxError("a fraction over 0", under.line or 1, under.column or 1)
    return Fraction(over, 1 if under is None else int(under))


def _whole(extent: Extent) -> bool:
    return extent.is_static and (not extent.terms or extent.terms[0][1].denominator == 1)
