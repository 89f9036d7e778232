"""What sums of products came to: how near the limit, how much was dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.records import dataclass


@dataclass
class Tally:
    """Of one op, over all of its calls.

    largest: the largest magnitude of a finite sum, of 32768. results, infinite: how many results there were, and how
    many overflowed. ordered: how many were summed in order because their magnitudes reach the limit; of those, an
    infinity may depend on the order. products, dropped: of two numbers that aren't zero; how many were dropped.
    """

    largest: float = 0.0
    results: int = 0
    infinite: int = 0
    ordered: int = 0
    products: int = 0
    dropped: int = 0

    def add(self, results: Array, products: int, dropped: Callable[[], int], ordered: int) -> None:
        finite = np.isfinite(results)
        self.largest = max(self.largest, float(np.abs(results[finite]).max(initial=0.0)))
        self.results += results.size
        self.infinite += int(results.size - np.count_nonzero(finite))
        self.ordered += ordered
        self.products += products
        self.dropped += dropped()

    @property
    def share(self) -> float:
        """The share of products that were dropped, 0 to 1."""
        return self.dropped / self.products if self.products else 0.0
