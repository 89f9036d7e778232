"""What counts as agreement between two results."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.rounding import Rounding
from mctc.numerics.difference import Difference, Scale, difference, signal_to_noise, within
from mctc.numerics.limits import FP16, FP32, LIMITS, PASS, PREDICTED

NAN, INF = float("nan"), float("inf")
NONE = Scale()


def compared(expected: list[float], actual: list[float], scale: Scale = NONE) -> Difference:
    return difference(np.array(expected), np.array(actual), scale)


def test_the_error_is_of_the_largest_magnitude() -> None:
    assert compared([1.0, -4.0], [1.0, -4.002]).error == pytest.approx(5e-4)


def test_where_all_that_is_expected_is_zero_the_error_is_absolute_or_of_the_scale_of_a_usual_result() -> None:
    assert compared([0.0, 0.0], [0.0, 0.25]).error == 0.25
    assert compared([0.0, 0.0], [0.0, 0.25], Scale.of(np.array([0.5, -10.0]))).error == pytest.approx(0.025)


def test_a_scale_of_another_result_never_makes_a_large_result_look_worse() -> None:
    assert compared([100.0], [101.0], Scale(10.0, 100.0)).error == pytest.approx(0.01)


def test_signal_to_noise_is_a_ratio_of_powers() -> None:
    signal = np.array([3.0, 4.0])
    assert signal_to_noise(signal, signal) == INF
    assert signal_to_noise(signal, signal + np.array([0.5, 0.0])) == pytest.approx(20.0)


@pytest.mark.parametrize("actual", [NAN, INF, -INF])
def test_a_number_that_is_lost_is_beyond_every_limit(actual: float) -> None:
    found = compared([1.0, 2.0], [actual, 2.0])
    assert (found.lost, found.error, found.decibels) == (1, INF, -INF)
    assert not any(within(found, limit) for limit in LIMITS)


@pytest.mark.parametrize("expected", [NAN, INF])
def test_where_the_reference_has_no_number_nothing_is_asked_and_the_rest_counts(expected: float) -> None:
    assert compared([expected, 2.0], [1.0, 2.0]) == Difference(0.0, 0.0, 4.0, 0, 1, 2)
    assert compared([expected, 2.0], [NAN, 1.0]).error == 0.5


def test_another_shape_is_beyond_every_limit() -> None:
    found = difference(np.zeros(3), np.zeros((3, 1)))
    assert found.misshapen
    assert not any(within(found, limit) for limit in LIMITS)


def test_a_limit_that_is_passed_may_be_explained_by_rounding_and_only_by_so_much() -> None:
    found = Difference(error=3e-4, noise=9e-8, signal=1.0, entries=1)
    assert not within(found, FP32)
    assert within(found, FP32, lambda _: Difference(error=3.1e-4 / PREDICTED))
    assert not within(found, FP32, lambda _: Difference(error=2.9e-4 / PREDICTED))
    noisy = Difference(error=0.1, noise=0.01, signal=1.0, entries=1)
    assert not within(noisy, FP16)
    assert within(noisy, FP16, lambda _: Difference(noise=0.011 / PREDICTED**2))
    assert not within(noisy, FP16, lambda _: Difference(noise=0.009 / PREDICTED**2))


def test_a_number_may_not_be_lost_although_rounding_loses_it() -> None:
    found = compared([1.0, 2.0], [INF, 2.0])
    assert not within(found, FP16, lambda _: Difference(lost=1))
    assert not within(found, FP16, lambda _: Difference(error=INF, noise=INF))
    assert not within(found, FP32, lambda _: Difference(error=INF, noise=INF))
    kept = Difference(error=0.1, noise=0.01, signal=1.0, entries=1)
    assert not within(kept, FP16, lambda _: Difference(lost=1, noise=float("inf")))


def test_where_both_sides_are_float64_its_rounding_alone_explains_an_error() -> None:
    def moved(rounding: Rounding) -> Difference:
        return Difference(error=abs(float(rounding(np.array(1 / 3))) * 3 - 1))

    assert not within(Difference(error=1e-6), PASS, moved)
    assert within(Difference(error=1e-6), PASS, lambda _: Difference(error=1e-7))


def test_every_limit_has_a_reason() -> None:
    assert all(limit.reason and limit.name for limit in LIMITS)
    assert len({limit.name for limit in LIMITS}) == len(LIMITS)


def test_what_is_lost_in_one_row_excuses_nothing_in_another() -> None:
    """softmax(x - 1e9) of a row whose entries are all masked: of x fp32 has no digit there, and all of it elsewhere."""
    expected = np.array([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    even = np.full(3, 1 / 3)

    def moved(rounding: Rounding) -> Difference:
        return difference(expected, np.stack([even, expected[1]]), each=True)

    lost = np.stack([even, expected[1] + 1e-6])
    fault = np.stack([even, expected[1] + 1e-2])
    assert within(difference(expected, lost, each=True), FP32, moved)
    assert not within(difference(expected, fault, each=True), FP32, moved)
