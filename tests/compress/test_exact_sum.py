"""Sums whose bits don't depend on the order of their terms."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum

TERMS = [np.random.default_rng(seed).normal(0, 10.0**seed, 50) for seed in range(-3, 3) if seed >= 0] * 4


def summed(terms: list[np.ndarray]) -> ExactSum:
    total = ExactSum.like(TERMS[0])
    for term in terms:
        total.add(term)
    return total


def test_terms_in_any_order_and_shards_in_any_order_give_the_same_bits() -> None:
    whole = summed(TERMS)
    shards = [summed(TERMS[1::2][::-1]), summed(TERMS[::2])]
    merged = ExactSum.like(TERMS[0])
    for shard in shards:
        merged.merge(shard)
    assert np.array_equal(merged.steps, whole.steps)
    np.testing.assert_allclose(whole.value(), np.sum(TERMS, axis=0), rtol=1e-7, atol=1e-6)


def test_a_sum_of_another_grid_is_refused() -> None:
    with pytest.raises(CompressError, match="other first utterances"):
        ExactSum.like(TERMS[0]).merge(ExactSum.like(TERMS[0] * 100))


@pytest.mark.parametrize(("term", "said"), [(np.nan, "not finite"), (np.inf, "not finite"), (1e12, "as large as")])
def test_what_the_grid_cannot_hold_is_refused(term: float, said: str) -> None:
    with pytest.raises(CompressError, match=said):
        ExactSum.like(TERMS[0]).add(np.full(50, term))


def test_the_sum_of_zeros_takes_ordinary_terms() -> None:
    total = ExactSum.like(np.zeros(3))
    total.add(np.array([0.5, -2.0, 3e4]))
    np.testing.assert_allclose(total.value(), [0.5, -2.0, 3e4], rtol=1e-9)
