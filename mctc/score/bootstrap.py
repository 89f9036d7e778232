"""How sure an error rate is: resampling of utterances (Bisani and Ney 2004)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mctc.records import dataclass
from mctc.score.alignment import Counts

DRAWS, SEED, LEVEL = 1000, 0, 0.95


@dataclass(frozen=True)
class Interval:
    """The middle `LEVEL` of what resampling gives."""

    low: float
    high: float


def interval(counts: Sequence[Counts]) -> Interval | None:
    """Of the error rate over utterances; None for fewer than two, or where nothing was said."""
    return _middle(_rates(counts))


def difference(one: Sequence[Counts], other: Sequence[Counts]) -> tuple[Interval | None, float]:
    """Of the second error rate less the first, over the same utterances in the same order; and the share of draws in
    which the second is lower, those of equal rates counted by half."""
    rates = _rates(other) - _rates(one)
    better = float(np.mean((rates < 0) + 0.5 * (rates == 0))) if rates.size else 0.5
    return _middle(rates), better


def _rates(counts: Sequence[Counts]) -> NDArray[np.float64]:
    """Error rates [draws] of as many utterances, drawn with replacement: the same ones for the same count. Draws in
    which nothing was said are left out of it."""
    table = np.array([(each.errors, each.said) for each in counts], np.int64).reshape(-1, 2)
    if len(table) < 2 or not table[:, 1].all():
        table = table[table[:, 1] > 0] if len(table) > 1 else table[:0]
    sums = np.array([table[at].sum(0) for at in _drawn(len(table))], np.float64).reshape(-1, 2)
    return sums[:, 0] / sums[:, 1]


def _drawn(count: int) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(SEED)
    return (rng.integers(count, size=count) for _ in range(DRAWS if count > 1 else 0))


def _middle(rates: NDArray[np.float64]) -> Interval | None:
    if not rates.size:
        return None
    low, high = np.quantile(rates, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(low), float(high))
