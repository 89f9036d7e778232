"""fp16 arrays by their bits: what numpy says of them, for every number that there is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mctc.half_bits import extremes, from_half, is_finite, to_half
from mctc.ir.op import Array

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FINITE = EVERY[np.isfinite(EVERY)]
NORMAL = FINITE[(np.abs(FINITE) >= 2.0**-14) | (FINITE == 0)]


@pytest.mark.parametrize("some", [EVERY, FINITE, NORMAL], ids=["all", "finite", "normal"])
@pytest.mark.parametrize("order", ["as they are", "mixed", "strided", "matrix"])
def test_a_number_in_float32_is_the_same_to_the_bit(some: Array, order: str) -> None:
    values = np.tile(some, 3)
    if order != "as they are":
        values = np.random.default_rng(1).permutation(values)
    if order == "strided":
        values = values[::2]
    elif order == "matrix":
        values = values[: len(values) // 64 * 64].reshape(-1, 64)
    wide, expected = from_half(values), values.astype(np.float32)
    assert wide.dtype == np.float32
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(wide.view(np.uint32)[known], expected.view(np.uint32)[known])
    np.testing.assert_array_equal(np.isnan(wide), ~known)


def test_a_few_subnormal_numbers_among_others_are_kept() -> None:
    values = np.ones(1 << 18, np.float16)
    values[::1001] = np.float16(2.0**-24)
    np.testing.assert_array_equal(from_half(values), values.astype(np.float32))


def _near(numbers: Array) -> Array:
    """float32 numbers at, beside and in the middle between those of fp16, of either sign."""
    wide = numbers.astype(np.float32)
    middles = wide[:-1] + np.diff(wide) / 2
    near = np.concatenate([wide, middles])
    return np.concatenate([near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf)), -near])


@pytest.mark.parametrize("within", [65504.0, 2.0**15 - 32, 2.0**-13], ids=["all", "none that is large", "subnormal"])
def test_a_number_is_rounded_to_the_nearest_one_ties_to_even(within: float) -> None:
    values = _near(np.sort(FINITE[np.abs(FINITE) <= within]))
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    np.testing.assert_array_equal(to_half(values).view(np.uint16), expected.view(np.uint16))
    out = np.empty((len(values) // 2, 2), np.float16)
    to_half(values[: 2 * len(out)].reshape(-1, 2)[::-1], out)
    np.testing.assert_array_equal(out[::-1].reshape(-1).view(np.uint16), expected[: out.size].view(np.uint16))


@pytest.mark.parametrize("seed", range(6))
def test_any_bits_are_rounded_as_numpy_does(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << 32, 1 << 17, np.uint64).astype(np.uint32).view(np.float32)
    values = values if seed % 2 else np.where(np.abs(values) < 30_000, values, np.float32(1e-5))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)
    found, known = to_half(values), ~np.isnan(values)
    np.testing.assert_array_equal(found.view(np.uint16)[known], expected.view(np.uint16)[known])
    assert np.isnan(found[~known]).all()


@pytest.mark.parametrize("seed", range(50))
def test_extremes_are_those_that_numpy_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice(EVERY if seed % 2 else FINITE, int(rng.integers(1, 6)))
    low, high = extremes(values)
    if np.isnan(values).any():
        assert math.isnan(low)
        assert math.isnan(high)
    else:
        assert (low, high) == (float(values.min()), float(values.max()))
    assert is_finite(values) == bool(np.isfinite(values).all())


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_one_number_that_is_not_finite_is_found(value: float) -> None:
    values = np.zeros((300, 70), np.float16)
    assert is_finite(values)
    values[123, 45] = value
    assert not is_finite(values)
    np.testing.assert_array_equal(from_half(values), values.astype(np.float32))
    assert is_finite(values[:0])
