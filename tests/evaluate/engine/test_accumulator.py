"""The accumulator against exact rational arithmetic, product by product."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mctc.evaluate.engine import accumulator
from mctc.evaluate.engine.accumulator import Matrices, products
from mctc.evaluate.engine.tally import Tally
from mctc.evaluate.engine.walk import steps_of

REACH = 1 << 31


def halves(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


def whole(value: Fraction) -> int:
    """The nearest whole number, ties away from zero."""
    return int(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)


def exponent(value: float) -> int:
    return max(int(np.frexp(value)[1]) - 1, -14)


def rounded(steps: int) -> float:
    """fp16 of whole numbers of 2^-16, ties away from zero."""
    if steps == 0:
        return 0.0
    last = max(abs(steps).bit_length() - 11, 0)
    return whole(Fraction(steps, 2**last)) * 2.0 ** (last - 16)


def one_by_one(weights: np.ndarray, values: np.ndarray, bias: float) -> float:
    total = whole(Fraction(bias) * 2**16)
    for w, x in zip(weights.tolist(), values.tolist(), strict=True):
        if w and x and exponent(w) + exponent(x) >= -16:
            total += whole(Fraction(w) * Fraction(x) * 2**16)
        if abs(total) >= REACH:
            return np.copysign(np.inf, total)
    return rounded(total)


def drawn(weight: float, value: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two matrices of factors, values over eight octaves, and a bias."""
    rng = np.random.default_rng(seed)
    octaves = np.exp2(rng.integers(-8, 1, (2, 24, 4)))
    return (
        halves(rng.standard_normal((2, 3, 24)) * weight),
        halves(rng.standard_normal((2, 24, 4)) * value * octaves),
        halves(rng.standard_normal((2, 3)) * weight),
    )


@pytest.mark.parametrize(
    ("weight", "value"),
    [(0.05, 1), (1, 1), (1e-3, 0.1), (1e-4, 1e-3), (1, 1e-5), (8, 8), (30, 300), (300, 300), (2000, 30)],
)
@pytest.mark.usefixtures("way")
def test_every_result_is_the_one_of_exact_arithmetic(weight: float, value: float) -> None:
    """From products that are all dropped to sums that nearly all overflow."""
    left, right, bias = drawn(weight, value, 1)
    expected = [
        [[one_by_one(left[b, r], right[b, :, c], float(bias[b, r])) for c in range(4)] for r in range(3)]
        for b in range(2)
    ]
    np.testing.assert_array_equal(products(Matrices.of(left), right, bias), np.array(expected, np.float32))


@pytest.fixture(params=[True, False], ids=["product by product", "by bits of sums"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few products are rounded one by one, many by the other way: here all by one of them."""
    if not request.param:
        monkeypatch.setattr(accumulator, "_direct_sums", lambda left, right: accumulator._sums(Matrices(left), right))


def test_entries_of_one_and_minus_one() -> None:
    rng = np.random.default_rng(2)
    left, right = halves(rng.integers(-1, 2, (1, 5, 40))), halves(rng.standard_normal((1, 40, 3)) * 100)
    assert Matrices.of(left).unit
    expected = [[one_by_one(left[0, r], right[0, :, c], 0.0) for c in range(3)] for r in range(5)]
    np.testing.assert_array_equal(products(Matrices.of(left), right)[0], np.array(expected, np.float32))


@pytest.mark.usefixtures("way")
def test_products_that_lie_on_ties_and_next_to_them() -> None:
    """All products of significands from a grid, of exponents that bring them around half a step."""
    significands = halves(np.concatenate([np.arange(1024, 2048, 31), [2047]]) / 1024)
    for shift in range(-20, 5):
        weights = np.ldexp(significands, -7).astype(np.float32)
        values = np.ldexp(significands, shift + 7 if abs(shift + 7) < 14 else -13).astype(np.float32)
        found = products(Matrices.of(weights[None, :, None]), values[None, None, :])[0]
        w, x = np.broadcast_arrays(weights[:, None], values[None, :])
        expected = np.vectorize(rounded, otypes=[np.float32])(steps_of(w, x))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(1, 300, 7, 600), (3, 40, 5, 2), (600, 1, 4, 9)])
def test_parts_that_are_worked_on_one_after_another_join(shape: tuple[int, int, int, int]) -> None:
    batch, rows, inner, columns = shape
    rng = np.random.default_rng(3)
    left = halves(rng.standard_normal((batch, rows, inner)) / 16)
    right = halves(rng.standard_normal((batch, inner, columns)))
    found = products(Matrices.of(left), right)
    for _ in range(20):
        b, r, c = (int(rng.integers(n)) for n in (batch, rows, columns))
        assert found[b, r, c] == one_by_one(left[b, r], right[b, :, c], 0.0)


@pytest.mark.usefixtures("way")
def test_a_tally_tells_the_largest_sum_and_what_was_dropped() -> None:
    left = halves(np.array([[[1.0, 2.0**-12, 100.0, 0.0]]]))
    right = halves(np.array([[[2.0], [2.0**-6], [200.0], [5.0]]]))
    tally = Tally()
    products(Matrices.of(left), right, None, tally)
    assert (tally.results, tally.products, tally.dropped, tally.ordered) == (1, 3, 1, 0)
    assert tally.largest == 20000.0  # 20002, rounded
    products(Matrices.of(left), right * 2, None, tally)
    assert (tally.infinite, tally.ordered) == (1, 1)


@pytest.mark.parametrize("entries", [[1.0], [0.5]])
def test_no_sum_is_a_negative_zero(entries: list[float]) -> None:
    left = halves(np.array([[entries]]))
    for value in (-0.0, -(2.0**-20)):
        assert not np.signbit(products(Matrices.of(left), halves(np.array([[[value]]])))).any()


def test_nothing_to_add_gives_the_bias() -> None:
    found = products(Matrices.of(np.zeros((1, 2, 0), np.float32)), np.zeros((1, 0, 3), np.float32), np.ones((1, 2)))
    np.testing.assert_array_equal(found, np.ones((1, 2, 3)))
