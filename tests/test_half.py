"""Rounding to fp16, against numpy's conversion."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.half import round_to_half

HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FINITE = HALVES[np.isfinite(HALVES)].astype(np.float32)


def reference(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("kept", [65520, 1 << 24])
def test_every_magnitude_rounds_as_numpy_does(kept: float) -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 300_000, dtype=np.uint32).view(np.float32)
    values = bits[np.abs(bits) < kept]
    with np.errstate(over="ignore"):
        found = round_to_half(values)
    np.testing.assert_array_equal(found.view(np.uint32), reference(values).view(np.uint32))


def test_numbers_of_fp16_and_the_middles_between_them() -> None:
    np.testing.assert_array_equal(round_to_half(FINITE), FINITE)
    ordered = np.sort(FINITE)
    middles = ((ordered[:-1].astype(np.float64) + ordered[1:]) / 2).astype(np.float32)
    np.testing.assert_array_equal(round_to_half(middles), reference(middles))


@pytest.mark.parametrize("extreme", [np.inf, -np.inf, np.nan, 65519.0, 65520.0, -1e30])
def test_one_extreme_among_many(extreme: float) -> None:
    values = np.linspace(-2, 2, 5000, dtype=np.float32)
    values[4321] = extreme
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(round_to_half(values), reference(values))


def test_any_layout_of_memory() -> None:
    values = np.random.default_rng(1).standard_normal((80, 90)).astype(np.float32)
    for view in (values.T, values[::2, ::-1], np.broadcast_to(values[:1], (80, 90))):
        np.testing.assert_array_equal(round_to_half(view), reference(view))


def test_rounding_in_place_gives_the_same_numbers() -> None:
    values = np.random.default_rng(3).standard_normal(100_001).astype(np.float32) * 1e-3
    values[:7] = [-0.0, -1e-9, 65519.0, 70000.0, -70000.0, np.inf, np.nan]
    expected, given = reference(values), values.copy()
    with np.errstate(over="ignore"):
        found = round_to_half(given, in_place=True)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    np.testing.assert_array_equal(found, expected)
    assert np.shares_memory(found, given)
    assert not np.shares_memory(round_to_half(values[7:]), values)
