"""Activations in 8 bits against a definition written out here, in whole numbers and fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mctc.ir.build import make
from mctc.ir.location import Origin
from mctc.ir.op import InferenceError
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.program import Value
from mctc.ir.rounding import Rounding
from mctc.ir.types import DType, TensorType, plain

LEAST = 2.0**-24
ONE = TensorType(DType.F32, ())


def made(scale: TensorType = ONE) -> FakeQuantize:
    op = make(FakeQuantize, [Value(plain(DType.F32, 4)), Value(scale)], {}, Origin())
    assert isinstance(op, FakeQuantize)
    return op


def defined(x: float, scale: float) -> float:
    """The nearest of -128 ... 127 steps, the even one of two that are as near."""
    step = Fraction(max(float(np.float16(scale)), LEAST))
    return float(min(range(-128, 128), key=lambda n: (abs(Fraction(x) - n * step), n % 2)) * step)


@pytest.mark.parametrize("scale", [1.0, 0.0625, 0.03, 1e-6, 1e-9, 0.0, 300.7])
def test_it_gives_the_nearest_step_within_int8(scale):
    step = max(float(np.float16(scale)), LEAST)
    ties = [step * (n + 0.5) for n in (-130, -129, -128, -3, -1, 0, 1, 2, 126, 127, 128)]
    x = np.array([0.0, -0.0, *ties, *np.random.default_rng(2).normal(size=40) * step * 90, 1e30, -1e30])
    (y,) = made().reference(x, np.float64(scale))
    assert y.tolist() == [defined(value, scale) for value in x]


def test_what_is_no_number_stays_none_and_what_is_infinite_is_the_last_step():
    (y,) = made().reference(np.array([np.nan, np.inf, -np.inf]), np.float64(0.5))
    assert np.isnan(y[0])
    assert y[1:].tolist() == [63.5, -64.0]


def test_an_engine_a_few_digits_off_may_take_the_step_beside_where_x_is_next_to_the_middle():
    x = np.concatenate([np.full(200, 10.5 + 1e-6), np.full(200, 10.3)])
    taken = [made().reference(x, np.float64(1.0), Rounding(np.float32, seed))[0] for seed in range(1, 4)]
    assert {*np.concatenate([each[:200] for each in taken])} == {10.0, 11.0}
    assert {*np.concatenate([each[200:] for each in taken])} == {10.0}


def test_a_scale_for_each_channel_is_refused():
    with pytest.raises(InferenceError, match="one scale"):
        made(plain(DType.F32, 4))
