"""Sums that are the same to the bit in whatever order their terms come, so that shards can be merged.

A term is rounded to a multiple of 2^-exponent and added as a 64-bit integer. The exponent comes from the first
few terms, which every shard computes: the largest entry of those is 2^30 to 2^31 steps. A million terms that are a
thousand times as large fit.
"""

from __future__ import annotations

import numpy as np

from mctc.compress.errors import CompressError
from mctc.ir.op import Array
from mctc.records import dataclass

FINE = 31  # bits of the largest entry of the first term
MOST = 1 << 62


class TooLargeError(CompressError):
    """A term that a sum has no room for."""


@dataclass(frozen=True)
class ExactSum:
    """steps: int64, of 2^-exponent each."""

    steps: Array
    exponent: int

    @classmethod
    def like(cls, first: Array) -> ExactSum:
        """An empty sum of terms such as this one."""
        return cls.of(first.shape, float(np.abs(first).max(initial=0.0)))

    @classmethod
    def of(cls, shape: tuple[int, ...], largest: float) -> ExactSum:
        """An empty sum of terms whose entries are about as large as this."""
        exponent = FINE - int(np.frexp(largest)[1]) if 0 < largest < float("inf") else FINE
        return cls(np.zeros(shape, np.int64), exponent)

    def add(self, term: Array) -> None:
        """Adds an array of the same shape. Raises TooLargeError for one that is not finite, or for a sum that grows
        beyond 62 bits."""
        steps = np.ldexp(np.asarray(term, np.float64), self.exponent)
        if not np.isfinite(steps).all() or np.abs(steps).max(initial=0.0) >= MOST:
            if not np.isfinite(term).all():
                raise TooLargeError("a number of the model is not finite")
            hint = "leave it out, or let an utterance that is as hard for the model be one of the first"
            raise TooLargeError("a number of the model is 2^31 times as large as in the first utterances", hint=hint)
        self._take(np.rint(steps, out=steps).astype(np.int64))

    def merge(self, other: ExactSum) -> None:
        """Adds the terms of another sum. Raises CompressError for one of another grid."""
        if (other.exponent, other.steps.shape) != (self.exponent, self.steps.shape):
            raise CompressError("the sums are of other first utterances, or of another model")
        self._take(other.steps)

    def _take(self, steps: Array) -> None:
        self.steps.__iadd__(steps)
        if self.steps.size and max(int(self.steps.max()), -int(self.steps.min())) >= MOST:
            raise TooLargeError("a sum is larger than 62 bits hold: calibrate with fewer utterances")

    def value(self) -> Array:
        """In float64."""
        return np.asarray(np.ldexp(self.steps.astype(np.float64), -self.exponent))
