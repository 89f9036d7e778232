"""Intervals hold the rate, shrink with more utterances, and are the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.score.alignment import Counts
from mctc.score.bootstrap import difference, interval


def drawn(count: int, rate: float, seed: int) -> list[Counts]:
    rng = np.random.default_rng(seed)
    return [Counts(10, int(errors)) for errors in rng.binomial(10, rate, count)]


def test_an_interval_is_that_of_the_mean_s_distribution() -> None:
    found = interval(drawn(400, 0.2, 0))
    assert found is not None
    mean = sum(each.errors for each in drawn(400, 0.2, 0)) / 4000
    half = 1.96 * (0.2 * 0.8 / 4000) ** 0.5
    assert found.low == pytest.approx(mean - half, abs=0.003)
    assert found.high == pytest.approx(mean + half, abs=0.003)
    assert found == interval(drawn(400, 0.2, 0))


def test_one_utterance_or_nothing_said_has_no_interval() -> None:
    assert interval([Counts(10, 1)]) is None
    assert interval([]) is None
    assert interval([Counts(0, 0, 0, 1)] * 3) is None


def test_a_difference_is_drawn_over_the_same_utterances() -> None:
    one = drawn(100, 0.3, 1)
    better = [Counts(each.said, max(0, each.substitutions - 1)) for each in one]
    found, share = difference(one, better)
    assert found is not None
    assert -0.1 <= found.low <= found.high < 0
    assert share == 1
    same, half = difference(one, one)
    assert same is not None
    assert (same.low, same.high, half) == (0, 0, 0.5)
