"""How far apart two results are: the same as a whole and in parts, and nothing that was not given counts as equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.proof import apart
from mctc.proof.apart import Apart


def _apart(wanted: np.ndarray, actual: np.ndarray, scale: float = 0.0) -> tuple[float, float]:
    compared = Apart(wanted)
    compared.add((), actual)
    return compared.of(scale)


@pytest.mark.parametrize(
    ("wanted", "actual", "error"),
    [
        ([1.0, np.inf, np.nan, 4.0], [1.0, np.inf, np.nan, 4.5], 0.125),
        ([1.0, np.inf], [1.0, -np.inf], np.inf),
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([1.0, 2.0], [1.0, np.nan], np.inf),
        ([1.0, 2.0], [[1.0, 2.0]], np.inf),
        ([0.0, 0.0], [0.0, 0.5], 0.5),
        (2.0, 3.0, 0.5),
        ([], [], 0.0),
    ],
)
def test_results_agree_where_neither_is_finite_and_nowhere_else(
    wanted: list[float], actual: list[float], error: float
) -> None:
    found, _ = _apart(np.array(wanted, np.float32), np.array(actual, np.float32))
    assert found == error


def test_a_scale_is_the_largest_magnitude_so_far() -> None:
    assert _apart(np.float32([1, -4]), np.float32([2, -4]), 8.0) == (0.125, 8.0)  # type: ignore[arg-type]
    assert _apart(np.float32([1, -4]), np.float32([2, -4]), 2.0) == (0.25, 4.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [[1, 3], [1, 2, 3]])
def test_whole_numbers_agree_or_not(other: list[int]) -> None:
    assert _apart(np.array([1, 2]), np.array([1, 2])) == (0.0, 0.0)
    assert _apart(np.array([1, 2]), np.array(other))[0] == np.inf


def test_a_part_that_is_not_given_or_beside_it_is_no_agreement() -> None:
    wanted = np.arange(12, dtype=np.float32).reshape(3, 4)
    compared = Apart(wanted)
    compared.add((slice(0, 2),), wanted[:2].copy())
    assert compared.of(0.0)[0] == np.inf
    compared.add((slice(2, 4),), wanted[:2].copy())
    assert compared.of(0.0)[0] == np.inf


def test_some_parts_are_enough_where_that_is_said_but_not_none() -> None:
    wanted = np.arange(12, dtype=np.float32).reshape(3, 4)
    compared = Apart(wanted, some=True)
    assert compared.of(0.0)[0] == np.inf
    compared.add((slice(0, 1),), wanted[:1].copy())
    assert compared.of(0.0) == (0.0, 3.0)
    compared.add((slice(2, 3),), wanted[:1].copy())
    assert compared.of(0.0)[0] > 0


def test_what_was_given_back_is_equal_and_a_view_of_other_numbers_is_not() -> None:
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert _apart(numbers.T, numbers.T) == (0.0, 0.0)
    assert _apart(numbers[:2], numbers[1:])[0] > 0
    square = numbers.reshape(-1)[:9].reshape(3, 3)
    assert _apart(square, square.T)[0] > 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=0, max_size=4), st.integers(0, 3), st.integers(1, 3), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
def test_parts_in_blocks_are_as_far_apart_as_numpy_says(
    shape: list[int], axis: int, step: int, turned: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    wanted, actual = (np.asarray(generator.standard_normal(shape), np.float32) for _ in range(2))
    if turned:
        wanted, actual = np.ascontiguousarray(wanted.T).T, np.asfortranarray(actual)
    compared, axis = Apart(wanted), axis % max(1, len(shape))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "BLOCK", 3)
        for begin in range(0, shape[axis] if shape else step, step):
            place = (*(slice(None),) * axis, slice(begin, begin + step)) if shape else ()
            compared.add(place, actual[place] if place else actual)
    largest = np.abs(wanted).max()
    error, scale = compared.of(0.0)
    assert scale == largest
    assert error == np.abs(wanted - actual).max() / largest
