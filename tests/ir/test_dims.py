"""Extents are a ring of polynomials with exact coefficients: every law is checked by putting numbers in."""

from __future__ import annotations

import pickle
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.ir.dims import Extent, ExtentError
from mctc.ir.types import DType, plain

few = settings(max_examples=40, deadline=None)
SYMBOLS = ("B", "D", "T")
fractions = st.fractions(min_value=-20, max_value=20, max_denominator=12)
values = st.fixed_dictionaries(dict.fromkeys(SYMBOLS, fractions))
leaves = st.sampled_from(SYMBOLS) | fractions
extents = st.recursive(
    leaves.map(Extent.of),
    lambda inner: st.tuples(inner, inner, st.sampled_from("+-*")).map(
        lambda t: {"+": t[0] + t[1], "-": t[0] - t[1], "*": t[0] * t[1]}[t[2]]
    ),
    max_leaves=4,
)


def at(extent: Extent, values: dict[str, Fraction]) -> Fraction:
    """The number that an extent is, from its terms alone."""
    total = Fraction(0)
    for monomial, factor in extent.terms:
        for name in monomial:
            factor = factor * values[name]
        total += factor
    return total


@few
@given(extents, extents, values)
def test_arithmetic_is_that_of_numbers(a: Extent, b: Extent, v: dict[str, Fraction]) -> None:
    assert at(a + b, v) == at(a, v) + at(b, v)
    assert at(a - b, v) == at(a, v) - at(b, v)
    assert at(a * b, v) == at(a, v) * at(b, v)


@few
@given(extents, extents, extents)
def test_equal_polynomials_are_equal_extents(a: Extent, b: Extent, c: Extent) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert (a * b) * c == a * (b * c)
    assert a * (b + c) == a * b + a * c
    assert a - a == Extent.of(0)
    assert hash(a + b - b) == hash(a)


@few
@given(extents, extents)
def test_extents_are_equal_where_their_terms_are(a: Extent, b: Extent) -> None:
    assert (a == b) == (a.terms == b.terms)
    assert a != a.terms


def test_a_hash_that_is_held_does_not_go_to_another_process() -> None:
    type_ = plain(DType.F32, 3, "T")
    assert len({type_, plain(DType.F32, 3, "T")}) == 1
    again = pickle.loads(pickle.dumps(type_))
    assert again == type_
    assert "_hash" not in {**vars(again), **vars(again.extents[1])}


@few
@given(extents, st.sampled_from(SYMBOLS), fractions.filter(bool))
def test_division_undoes_multiplication(a: Extent, symbol: str, factor: Fraction) -> None:
    divisor = Extent.of(symbol) * factor
    assert (a * divisor) / divisor == a
    assert (a * factor) / factor == a


@few
@given(extents, values)
def test_substitution_puts_numbers_in(a: Extent, v: dict[str, Fraction]) -> None:
    assert at(a.substitute(v), {}) == at(a, v)
    assert at(a.substitute({"T": Extent.of("D") * 2}), v) == at(a, {**v, "T": v["D"] * 2})


@pytest.mark.parametrize(
    ("extent", "text"),
    [
        (Extent.of("T") / 4, "T/4"),
        (Extent.of("T") * 3 / 4 - 1, "3*T/4 - 1"),
        (Extent.of("T") * -2 + Extent.of("T") * Extent.of("D"), "D*T - 2*T"),
        (Extent.of(Fraction(1, 2)) - Extent.of("T"), "-T + 1/2"),
        (Extent.of(0), "0"),
        (Extent.of(-7), "-7"),
    ],
)
def test_text(extent: Extent, text: str) -> None:
    assert str(extent) == text


def test_what_is_known() -> None:
    frames = Extent.of("T") / 4
    assert not frames.is_static
    assert frames.symbols == {"T"}
    assert frames.coefficient("T") == Fraction(1, 4)
    assert frames.coefficient("B") == 0
    assert frames.substitute({"T": 32}).value == 8
    assert Extent.of(0).value == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Extent.of("T").value, "T is not known before run time"),
        (lambda: (Extent.of("T") / 4).substitute({"T": 3}).value, "3/4 is not a whole number"),
        (lambda: Extent.of("T") / Extent.of("D"), "T is not divisible by D"),
        (lambda: Extent.of("T") / (Extent.of("D") + 1), "T cannot be divided by D + 1"),
        (lambda: Extent.of("T") / 0, "T cannot be divided by 0"),
    ],
)
def test_what_has_no_exact_value_is_an_error(make: object, message: str) -> None:
    with pytest.raises(ExtentError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value) == message
