"""Python expressions as text that nest without superfluous parentheses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from fractions import Fraction

from mctc.records import dataclass


class Binds(IntEnum):
    """How tightly the outermost operator of an expression binds, loosest first (Python's own order)."""

    SUM = 1
    PRODUCT = 2
    SIGN = 3
    ATOM = 4


@dataclass(frozen=True)
class Expression:
    """A Python expression that computes the result of an op, or a tuple of its results if it has several.

    `imports` are the names that the text uses: "torch", "F" (torch.nn.functional), "selective_scan", and functions of
    runtime/functional.py.
    """

    text: str
    imports: frozenset[str] = frozenset()
    binds: Binds = Binds.ATOM

    def __str__(self) -> str:
        return self.text

    def at_least(self, binds: Binds) -> str:
        """The text, in parentheses where an operator that binds as tightly as `binds` would tear it apart."""
        return self.text if self.binds >= binds else f"({self.text})"

    @property
    def atom(self) -> str:
        """The text as it may stand before a dot or a bracket."""
        return self.at_least(Binds.ATOM)

    def method(self, name: str, *arguments: object, **keywords: object) -> Expression:
        """`self.name(arguments)`."""
        return call(Expression(f"{self.atom}.{name}", self.imports), *arguments, **keywords)

    def indexed(self, axis: int, rank: int, index: str) -> Expression:
        """`self[:, index]`: `index` along `axis` of `rank` axes."""
        place = f"..., {index}" if rank > 1 and axis == rank - 1 else ", ".join([":"] * axis + [index])
        return replace(self, text=f"{self.atom}[{place}]", binds=Binds.ATOM)

    def padded(self, axis: int, rank: int, widths: tuple[int, int], value: float = 0) -> Expression:
        """self with widths[0] entries of `value` before it along `axis` of `rank` axes, and widths[1] behind it."""
        last = (0, 0) * (rank - 1 - axis) + widths
        return call(named("F.pad"), self, last, **({"value": number(value)} if value else {}))

    def joined(self, others: Sequence[Expression], axis: int) -> Expression:
        """self and the others, one behind the other along `axis`."""
        return call(named("torch.cat"), [self, *others], dim=axis)


def as_expression(operand: Expression | str) -> Expression:
    """Text alone is taken for a name or another atom."""
    return operand if isinstance(operand, Expression) else Expression(operand)


def named(name: str) -> Expression:
    """A name that must be imported: `F.silu` needs F."""
    return Expression(name, frozenset((name.split(".")[0],)))


def call(function: Expression, *arguments: object, **keywords: object) -> Expression:
    """`function(arguments, name=value)`. Expressions among the arguments bring their imports."""
    texts = [literal(argument) for argument in arguments]
    texts += [f"{name}={literal(value)}" for name, value in keywords.items()]
    imports = map(imports_of, (*arguments, *keywords.values()))
    return Expression(f"{function.text}({', '.join(texts)})", function.imports.union(*imports))


def imports_of(value: object) -> frozenset[str]:
    if isinstance(value, Expression):
        return value.imports
    return frozenset().union(*map(imports_of, value)) if isinstance(value, (list, tuple)) else frozenset()


def binary(left: Expression, sign: str, right: Expression, binds: Binds) -> Expression:
    """`left sign right` for the left-associative operators: the right operand must bind tighter."""
    text = f"{left.at_least(binds)} {sign} {right.at_least(Binds(binds + 1))}"
    return Expression(text, left.imports | right.imports, binds)


def negative(x: Expression) -> Expression:
    return Expression(f"-{x.at_least(Binds.SIGN)}", x.imports, Binds.SIGN)


def literal(value: object) -> str:
    """A value as Python writes it: the only way of a value of the spec into a module. An infinite number becomes a call
    that gives it, a fraction the nearest float. Raises TypeError for what has no literal."""
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, Fraction):
        value = int(value) if value.denominator == 1 else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{float(value)}")'
    if isinstance(value, str):
        return f'"{escaped(value)}"'
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    raise TypeError(f"a value of type {type(value).__name__} has no literal")


def escaped(text: str) -> str:
    """A text as it stands between double quotes, three of them too, or behind `#`: one line of printable characters
    without quotes and backslashes of its own."""
    return "".join(c if c.isprintable() and c not in '"\\' else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float) -> Expression:
    """A number as a person writes it: 2 for 2.0. Arithmetic with a tensor of floats knows no difference."""
    whole = math.isfinite(value) and value == int(value) and abs(value) < 2**53
    text = str(int(value)) if whole else literal(float(value))
    return Expression(text, binds=Binds.SIGN if text.startswith("-") else Binds.ATOM)


def keywords(settings: Mapping[str, object]) -> str:
    """`blank=0, dim=1`: every value through the one printer of literals."""
    return ", ".join(f"{name}={literal(value)}" for name, value in settings.items())
