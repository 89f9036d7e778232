"""Inputs of true and false, and whole numbers that are only cast, become numbers; nothing else does."""

from __future__ import annotations

import pytest

from mctc.ir.domain import MASK, Interval
from mctc.ir.types import DType
from mctc.passes.number_inputs import FED_MARKS, FED_NUMBERS, NumberInputs

from .conftest import Rewrites


def test_a_bool_input_is_fed_as_1_and_0(rewrites: Rewrites) -> None:
    made, context = rewrites(
        NumberInputs,
        """
        function @f(%x: f32[time 4], %m: bool[time 4]) {
          %0 = cast(%m, dtype = f32)
          %1 = mul(%x, %0)
          return y = %1
        }
        """,
        """
        function @f(%x: f32[time 4], %m: f32[time 4]) {
          domain %m in {0, 1}
          %0 = mul(%x, %m)
          return y = %0
        }
        """,
    )
    assert made.functions["f"].domains == {"m": MASK}
    assert context.explanations == [("number-inputs", "f.m", FED_MARKS)]


def test_what_moves_true_and_false_moves_numbers(rewrites: Rewrites) -> None:
    """States, results and constants of bool too; another cast from them is one from a float."""
    made, _ = rewrites(
        NumberInputs,
        """
        function @f(%m: bool[time 4]) {
          state %past: bool[time 2]
          %0 = concat(%past, %m, axis = 0)
          %1 = slice(%0, axis = 0, begin = 4)
          %2 = constant [true, false]: bool[time 2]
          %3 = concat(%0, %2, axis = 0)
          %4 = cast(%3, dtype = i32)
          %5 = cast(%4, dtype = f32)
          next %past = %1
          return y = %5, seen = %3
        }
        """,
        """
        function @f(%m: f32[time 4]) {
          domain %m in {0, 1}
          state %past: f32[time 2]
          %0 = concat(%past, %m, axis = 0)
          %1 = slice(%0, axis = 0, begin = 4)
          %2 = constant [1.0, 0.0]: f32[time 2]
          %3 = concat(%0, %2, axis = 0)
          %4 = cast(%3, dtype = i32)
          %5 = cast(%4, dtype = f32)
          next %past = %1
          return y = %5, seen = %3
        }
        """,
    )
    assert all(v.type.dtype is not DType.BOOL for op in made.functions["f"].ops for v in op.results)


def test_what_is_not_zero_stays_between_two_casts(rewrites: Rewrites) -> None:
    rewrites(
        NumberInputs,
        """
        function @f(%x: f32[time 4]) {
          %0 = cast(%x, dtype = bool)
          %1 = cast(%0, dtype = bool)
          %2 = cast(%1, dtype = f32)
          return y = %2
        }
        """,
        """
        function @f(%x: f32[time 4]) {
          %0 = cast(%x, dtype = bool)
          %1 = cast(%0, dtype = f32)
          return y = %1
        }
        """,
    )


def test_whole_numbers_that_are_only_cast_are_fed_as_floats(rewrites: Rewrites) -> None:
    made, context = rewrites(
        NumberInputs,
        """
        function @f(%n: i32[time 4] < 7, %m: i32[time 4], %s: i32[time 4]) {
          domain %m in {0, 1}
          domain %s in [-2048, 2048]
          %0 = cast(%n, dtype = f32)
          %1 = cast(%m, dtype = f32)
          %2 = mul(%0, %1)
          %3 = cast(%s, dtype = f32)
          %4 = add(%2, %3)
          return y = %4
        }
        """,
        """
        function @f(%n: f32[time 4] < 7, %m: f32[time 4], %s: f32[time 4]) {
          domain %m in {0, 1}
          domain %s in [-2048, 2048]
          %0 = mul(%n, %m)
          %1 = add(%0, %s)
          return y = %1
        }
        """,
    )
    assert made.functions["f"].domains == {"m": MASK, "s": Interval(-2048, 2048)}
    assert [told for _, _, told in context.explanations] == [FED_NUMBERS] * 3


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("%n: i32[time 4] < 2050", "%0 = cast(%n, dtype = f32)"),
        ("%n: i32[time 4]", "%0 = cast(%n, dtype = f32)"),
        ("%n: i32[time 4] < 7", "%0 = add(%n, %n)"),
    ],
)
def test_other_whole_numbers_stay(header: str, body: str, rewrites: Rewrites) -> None:
    """Those that fp16 may round, and those that more is done with."""
    text = f"function @f({header}) {{\n{body}\nreturn y = %0\n}}"
    rewrites(NumberInputs, text, text)
