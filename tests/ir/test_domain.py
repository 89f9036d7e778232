"""What an input may be: membership, draws that stay inside, the nearest entry, and the text."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mctc.ir.domain import MASK, Choices, Domain, Interval, described_as, limited
from mctc.ir.program import Value
from mctc.ir.text import equal, parse_program, print_program
from mctc.ir.verify import VerificationError, verify

DOMAINS: list[tuple[Domain, str]] = [
    (MASK, "in {0, 1}"),
    (Choices((-0.5, 0.25, 7.0)), "in {-0.5, 0.25, 7}"),
    (Interval(-1, 1), "in [-1, 1]"),
    (Interval(0.1, 0.3), "in [0.1, 0.3]"),
    (Interval(0, excluded=(True, False)), "> 0"),
    (Interval(0), ">= 0"),
    (Interval(high=-2.5), "<= -2.5"),
    (Interval(high=1, excluded=(False, True)), "< 1"),
    (Interval(0, 1, (True, True)), "> 0 and < 1"),
    (Interval(1e-12, 1e-11), "in [1e-12, 1e-11]"),
    (Interval(1e5, 1e6), "in [100000, 1000000]"),
    (Interval(1, 10, (False, True), whole=True), ">= 1 and < 10"),
    (Choices((0, 2, 5), whole=True), "in {0, 2, 5}"),
]


@pytest.mark.parametrize(("domain", "text"), DOMAINS)
def test_what_is_drawn_or_made_nearest_is_inside(domain: Domain, text: str) -> None:
    rng = np.random.default_rng(3)
    drawn = domain.draw(rng, (40, 5))
    assert drawn.dtype == (np.int64 if domain.whole else np.float64)
    assert domain.first_outside(drawn) is None
    assert len(np.unique(drawn)) > 1
    np.testing.assert_array_equal(domain.nearest(drawn), drawn)
    odd = np.array([0.0, -0.0, 1.0, -1.0, 65504.0, -65504.0, 1e-7, 0.5, 3.7])
    assert domain.first_outside(domain.nearest(odd)) is None
    for end in (domain.least, domain.greatest):
        assert math.isinf(end) or domain.first_outside(np.array(end)) is None


@pytest.mark.parametrize(("domain", "text"), DOMAINS)
def test_a_domain_is_written_and_read(domain: Domain, text: str) -> None:
    assert str(domain) == text
    assert described_as(domain.described(), whole=domain.whole) == domain


def test_draws_are_numbers_that_fp16_holds_where_there_are_some() -> None:
    for domain in (Interval(), Interval(0.1, 0.3), Interval(0, excluded=(True, False)), Interval(high=-3)):
        drawn = domain.draw(np.random.default_rng(0), (500,))
        np.testing.assert_array_equal(drawn, drawn.astype(np.float16).astype(np.float64))


@pytest.mark.parametrize(
    ("domain", "array", "place"),
    [
        (MASK, [[0.0, 1.0], [0.5, 1.0]], (1, 0)),
        (Interval(0, excluded=(True, False)), [1.0, 0.0], (1,)),
        (Interval(-1, 1), [1.0, -1.0], None),
        (Interval(-1, 1), [math.nan], (0,)),
        (Interval(0, math.inf), [3.0, math.inf], None),
        (Interval(0, 10, (False, True), whole=True), [0, 9, 10], (2,)),
        (Interval(0, 10, whole=True), [2.5], (0,)),
        (MASK, [True, False], None),
    ],
)
def test_the_first_entry_outside_is_found(domain: Domain, array: list[Any], place: tuple[int, ...] | None) -> None:
    assert domain.first_outside(np.array(array)) == place


def test_an_interval_can_be_empty() -> None:
    assert not Interval().is_empty
    assert Interval(1, 0).is_empty
    assert limited({"above": 1, "at_most": 1}).is_empty
    assert Interval(1, 2, (True, True), whole=True).is_empty
    assert not Interval(1, 1).is_empty


PROGRAM = """
function @f(
  %x: f32[time T, channel 4], %id: i32[time T] < 6, %word: i32[time T] < 9, %on: bool[time T], %n: i32[time T]
) {
  domain %x < 1.5
  domain %id in {0, 2, 5}
  %0 = relu(%x)
  return y = %0
}
"""


def test_a_function_says_what_each_input_may_be() -> None:
    program = parse_program(PROGRAM)
    function = program.functions["f"]
    told = {value.name: function.domain(value) for value in function.inputs}
    assert told == {
        "x": Interval(high=1.5, excluded=(False, True)),
        "id": Choices((0, 2, 5), whole=True),
        "word": Interval(0, 9, (False, True), whole=True),
        "on": MASK,
        "n": Interval(whole=True),
    }
    assert equal(parse_program(print_program(program, locations=True)), program)
    verify(program)


def test_a_domain_is_of_an_input_and_of_its_numbers() -> None:
    program = parse_program(PROGRAM)
    function = program.functions["f"]
    program.functions["f"] = replace(function, domains={"z": MASK})
    with pytest.raises(VerificationError, match="there is no input z for the domain"):
        verify(program)
    program.functions["f"] = replace(function, domains={"id": MASK})
    with pytest.raises(VerificationError, match="its domain is of numbers that need not be whole"):
        verify(program)
    assert function.domain(Value(function.inputs[0].type, "other")) == Interval()
