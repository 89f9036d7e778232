"""Exact extents: polynomials with rational coefficients over named dimensions (`T/4`, `2*T + 1`, `80`)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Union

from mctc.records import dataclass

ExtentLike = Union[int, str, Fraction, "Extent"]
Monomial = tuple[str, ...]  # sorted symbol names, repeated for powers; () is the constant term


class ExtentError(ValueError):
    """An extent that has no exact value: a division that does not come out, a symbol without a value."""


@dataclass(frozen=True, eq=False)
class Extent:
    """An exact extent. Equality is equality of polynomials; `terms` is kept sorted and free of zeros."""

    terms: tuple[tuple[Monomial, Fraction], ...]

    def __eq__(self, other: object) -> bool:
        """Whole numbers, which most extents are, are compared as such."""
        if self is other:
            return True
        if not isinstance(other, Extent):
            return NotImplemented
        whole = self._integer
        return whole == other._integer if whole is not None else self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what is held: another process hashes names otherwise."""
        return Extent, (self.terms,)

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    @staticmethod
    def of(value: ExtentLike) -> Extent:
        if isinstance(value, Extent):
            return value
        if type(value) is int:
            return _whole(value)
        if isinstance(value, str):
            return Extent((((value,), Fraction(1)),))
        return _normal({(): Fraction(value)})

    @cached_property
    def is_static(self) -> bool:
        return not self.terms or (len(self.terms) == 1 and not self.terms[0][0])

    @cached_property
    def _integer(self) -> int | None:
        """The value if it is a known whole number: the case in which arithmetic takes a short way."""
        if not self.terms:
            return 0
        monomial, factor = self.terms[0]
        return factor.numerator if not monomial and factor.denominator == 1 and len(self.terms) == 1 else None

    @cached_property
    def symbols(self) -> frozenset[str]:
        return frozenset(name for monomial, _ in self.terms for name in monomial)

    @property
    def value(self) -> int:
        """The integer value. Raises ExtentError when a symbol is left or the value is not a whole number."""
        value = self._integer
        if value is None:
            problem = "a whole number" if self.is_static else "known before run time"
            raise ExtentError(f"{self} is not {problem}")
        return value

    def coefficient(self, symbol: str) -> Fraction:
        """The coefficient of `symbol` to the first power: 1/4 for T in T/4."""
        return dict(self.terms).get((symbol,), Fraction(0))

    def substitute(self, values: Mapping[str, ExtentLike]) -> Extent:
        if not self.symbols & values.keys():
            return self
        total = Extent.of(0)
        for monomial, factor in self.terms:
            product = Extent.of(factor)
            for name in monomial:
                product = product * Extent.of(values.get(name, name))
            total = total + product
        return total

    def __add__(self, other: ExtentLike) -> Extent:
        left, right = self._integer, Extent.of(other)._integer
        if left is not None and right is not None:
            return _whole(left + right)
        terms = dict(self.terms)
        for monomial, factor in Extent.of(other).terms:
            terms[monomial] = terms.get(monomial, Fraction(0)) + factor
        return _normal(terms)

    def __sub__(self, other: ExtentLike) -> Extent:
        return self + Extent.of(other) * -1

    def __mul__(self, other: ExtentLike) -> Extent:
        one, two = self._integer, Extent.of(other)._integer
        if one is not None and two is not None:
            return _whole(one * two)
        terms: dict[Monomial, Fraction] = {}
        for left, a in self.terms:
            for right, b in Extent.of(other).terms:
                key = tuple(sorted(left + right))
                terms[key] = terms.get(key, Fraction(0)) + a * b
        return _normal(terms)

    def __truediv__(self, other: ExtentLike) -> Extent:
        """Exact division by a single-term extent: (T*4)/4, T/4, (T*D)/D. Raises ExtentError otherwise."""
        divisor = Extent.of(other)
        if len(divisor.terms) != 1:
            raise ExtentError(f"{self} cannot be divided by {divisor}")
        monomial, factor = divisor.terms[0]
        terms: dict[Monomial, Fraction] = {}
        for left, a in self.terms:
            rest = list(left)
            for name in monomial:
                if name not in rest:
                    raise ExtentError(f"{self} is not divisible by {divisor}")
                rest.remove(name)
            terms[tuple(rest)] = a / factor
        return _normal(terms)

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        if not self.terms:
            return "0"
        text = ""
        for monomial, factor in self.terms:
            sign, magnitude = ("-" if factor < 0 else "+"), abs(factor)
            text += (
                f" {sign} {_term(monomial, magnitude)}" if text else ("-" * (factor < 0)) + _term(monomial, magnitude)
            )
        return text


@lru_cache(maxsize=1 << 14)
def _whole(value: int) -> Extent:
    return Extent((((), Fraction(value)),) if value else ())


def _term(monomial: Monomial, factor: Fraction) -> str:
    if not monomial:
        return str(factor)
    head = "" if factor.numerator == 1 else f"{factor.numerator}*"
    tail = "" if factor.denominator == 1 else f"/{factor.denominator}"
    return head + "*".join(monomial) + tail


def _normal(terms: Mapping[Monomial, Fraction]) -> Extent:
    kept = [(monomial, factor) for monomial, factor in terms.items() if factor]
    return Extent(tuple(sorted(kept, key=lambda term: (-len(term[0]), term[0]))))
