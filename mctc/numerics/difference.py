"""How far one result is from its reference, and whether that is within a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field

import numpy as np

from mctc.ir.op import Array
from mctc.ir.rounding import Rounding
from mctc.numerics.limits import PREDICTED, Limit
from mctc.records import dataclass


@dataclass(frozen=True)
class Difference:
    """error: the largest difference, of the largest magnitude expected, over entries where the reference is finite.

    noise, signal: sums of squares over the same entries, of the difference and of what it is measured in.
    lost: entries that are not finite where the reference is.
    undefined: entries where the reference is not finite; nothing is asked of them. entries: all of them.
    misshapen: the shapes differ, so nothing could be compared.
    apart: the difference of each entry, as `error` has the largest; None where nobody asked for it.
    """

    error: float = 0.0
    noise: float = 0.0
    signal: float = 0.0
    lost: int = 0
    undefined: int = 0
    entries: int = 0
    misshapen: bool = False
    apart: Array | None = field(default=None, compare=False, repr=False)

    @property
    def decibels(self) -> float:
        """10 log10 of the signal's power over that of the difference."""
        if self.misshapen:
            return float("-inf")
        if self.noise == 0:
            return float("inf")
        return float("-inf") if self.signal == 0 or self.lost else 10 * float(np.log10(self.signal / self.noise))


@dataclass(frozen=True)
class Scale:
    """What errors of a result are measured in at least: the largest magnitude, and the mean of squares."""

    largest: float = 0.0
    power: float = 0.0

    @classmethod
    def of(cls, array: Array) -> Scale:
        """That of a usual result: silence and the smallest numbers may leave nothing but rounding."""
        with np.errstate(all="ignore"):
            finite = np.asarray(array)[np.isfinite(array)]
            if not finite.size:
                return cls()
            largest = max(float(finite.max()), -float(finite.min()))
            return cls(largest, float(np.square(finite, dtype=np.float64).mean()))


UNSCALED = Scale()


def difference(expected: Array, actual: Array, scale: Scale = UNSCALED, *, each: bool = False) -> Difference:
    """Compares a result with its reference, arrays of any shape. Errors are of the larger of `scale` and the scale of
    `expected`, and of 1 where both are nothing. each: whether the difference of each entry is kept."""
    expected, actual = np.asarray(expected), np.asarray(actual)
    if expected.shape != actual.shape:
        return Difference(float("inf"), entries=expected.size, misshapen=True)
    with np.errstate(all="ignore"):
        defined = np.isfinite(expected)
        lost = int(np.count_nonzero(defined & ~np.isfinite(actual)))
        kept = expected[defined].astype(np.float64)
        apart = actual[defined].astype(np.float64)
        np.abs(np.subtract(apart, kept, out=apart), out=apart)  # states can be most of what is in memory
        largest = max(float(np.abs(kept).max(initial=0.0)), scale.largest) or 1.0
        error = float("inf") if lost else float(apart.max(initial=0.0)) / largest
        signal = max(float(np.square(kept).sum()), scale.power * kept.size)
        noise = float("inf") if lost else float(np.square(apart).sum())
        entries = None
        if each:
            entries = np.zeros(expected.shape)
            entries[defined] = apart / largest
        return Difference(error, noise, signal, lost, expected.size - kept.size, expected.size, apart=entries)


def signal_to_noise(signal: Array, other: Array) -> float:
    """10 log10 of the signal's power over that of the difference, in dB."""
    return difference(signal, other).decibels


def relative_error(expected: Array, actual: Array) -> float:
    """The largest difference, of the largest magnitude expected; infinite where shapes differ or a number is lost."""
    return difference(expected, actual).error


def within(found: Difference, limit: Limit, predicted: Callable[[Rounding], Difference] | None = None) -> bool:
    """Whether a difference is within a limit, or else no more than rounding explains.

    predicted: how far the reference itself moves when it is rounded; asked for only when needed, for each of the
    limit's ways. A number that is lost is beyond every limit, whatever explains it.
    """
    if found.misshapen or found.lost:
        return False
    if limit.decibels is not None:
        holds = found.decibels >= limit.decibels
    else:
        holds = limit.error is not None and found.error <= limit.error
    if holds or predicted is None:
        return holds
    return _explained(found, limit, map(predicted, limit.roundings))


def _explained(found: Difference, limit: Limit, rounded: Iterable[Difference]) -> bool:
    """Whether what rounding moves is as much; of a largest error, in each entry too that is far beyond the limit: what
    is lost in one row of a result excuses nothing in another."""
    most, moved = 0.0, np.zeros(())
    for each in rounded:
        if each.lost:
            continue
        if limit.error is None:
            if found.noise <= PREDICTED**2 * each.noise:
                return True
            continue
        most = max(most, each.error)
        if each.apart is not None:
            moved = np.maximum(moved, each.apart)
        entries = found.apart is None or bool((found.apart <= PREDICTED * np.maximum(moved, limit.error)).all())
        if found.error <= PREDICTED * most and entries:
            return True
    return False
