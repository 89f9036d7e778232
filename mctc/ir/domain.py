"""Domains: what the entries of an input may be, as a spec says it behind the input's type (`in {0, 1}`, `> 0`)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import field

import numpy as np

from mctc.ir.op import Array
from mctc.records import dataclass

UNSTATED = 8  # whole numbers that are drawn where a domain has no end on one side
Described = Mapping[str, float | list[float]]  # a domain as a manifest has it
WORDS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}  # limits in a manifest and in a spec


@dataclass(frozen=True)
class Domain(ABC):
    """A set of numbers. `str` is what a spec says; `whole` where the entries are integers, whatever holds them."""

    whole: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def least(self) -> float:
        """The least number in it (of fp16's, where fp16 has one near the end); -inf without an end."""

    @property
    @abstractmethod
    def greatest(self) -> float:
        """The greatest number in it, in the same way."""

    @abstractmethod
    def holds(self, array: Array) -> Array:
        """Which entries are in it, as the array's precision has its ends. NaN is in none."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Random entries of it: int64 where they are whole, else float64; numbers that fp16 holds, where it has some.

        Noise is normal where there is no end, or behind the one that there is, and even between two.
        """

    @abstractmethod
    def nearest(self, array: Array) -> Array:
        """Each entry as it is, or the entry of the domain that is nearest to it."""

    @abstractmethod
    def described(self) -> Described:
        """The domain as a manifest has it; `described_as` reads it back."""

    @property
    def silence(self) -> float:
        """What stands in frames that do not exist: zero, or the number in it that is nearest to zero."""
        return float(self.nearest(np.zeros(())))

    def first_outside(self, array: Array) -> tuple[int, ...] | None:
        """The place of the first entry, in row-major order, that is not in the domain."""
        outside = np.argwhere(~self.holds(np.asarray(array)))
        return tuple(int(i) for i in outside[0]) if len(outside) else None


@dataclass(frozen=True)
class Choices(Domain):
    """One of a few numbers, in rising order."""

    values: tuple[float, ...]

    @property
    def least(self) -> float:
        return self.values[0]

    @property
    def greatest(self) -> float:
        return self.values[-1]

    def holds(self, array: Array) -> Array:
        array = np.asarray(array)
        return np.isin(array, np.asarray(self.values, array.dtype if array.dtype.kind == "f" else np.float64))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return rng.choice(self._values(), shape)

    def nearest(self, array: Array) -> Array:
        values = self._values()
        return np.asarray(values[np.abs(np.asarray(array)[..., None] - values).argmin(axis=-1)])

    def described(self) -> Described:
        return {"one_of": [_plain(value) for value in self.values]}

    def _values(self) -> Array:
        return np.asarray(self.values, np.int64 if self.whole else np.float64)

    def __str__(self) -> str:
        return "in {" + ", ".join(map(number_text, self.values)) + "}"


@dataclass(frozen=True)
class Interval(Domain):
    """The numbers from `low` to `high`: with them, unless they are `excluded`. Without arguments, all numbers."""

    low: float = -math.inf
    high: float = math.inf
    excluded: tuple[bool, bool] = (False, False)

    def holds(self, array: Array) -> Array:
        array = np.asarray(array)
        above = array > self.low if self.excluded[0] else array >= self.low
        below = array < self.high if self.excluded[1] else array <= self.high
        return np.asarray(above & below & (array == np.floor(array)) if self.whole else above & below)

    @property
    def is_empty(self) -> bool:
        return not (self.holds(np.asarray(self.least)) and self.holds(np.asarray(self.greatest)))

    @property
    def least(self) -> float:
        return self._end(self.low, self.excluded[0], 1)

    @property
    def greatest(self) -> float:
        return self._end(self.high, self.excluded[1], -1)

    def _end(self, end: float, excluded: bool, inwards: int) -> float:
        if math.isinf(end):
            return end
        if self.whole:
            nearest = math.ceil(end) if inwards > 0 else math.floor(end)
            return float(nearest + inwards * (excluded and nearest == end))
        for precision in (np.float16, np.float32, np.float64):  # the first that has a number inside
            with np.errstate(over="ignore"):
                rounded = precision(end)
            inner = (
                rounded + inwards * np.finfo(precision).tiny if end == 0 else np.nextafter(rounded, inwards * np.inf)
            )
            for value in (float(rounded), float(inner)):
                if math.isfinite(value) and bool(self.holds(np.asarray(value))):
                    return value
        return end

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        low, high = self.least, self.greatest
        if self.whole:
            low, high = self._stated(low, high)
            return np.asarray(rng.integers(int(low), int(high) + 1, shape), np.int64)
        if math.isfinite(low) and math.isfinite(high):
            drawn = low + (high - low) * rng.random(shape)
        elif math.isfinite(low):
            drawn = low + np.abs(rng.normal(size=shape))
        elif math.isfinite(high):
            drawn = high - np.abs(rng.normal(size=shape))
        else:
            drawn = rng.normal(size=shape)
        drawn, ends = np.asarray(drawn, np.float64), np.array([low, high])
        narrow = np.array_equal(_half(ends), ends)  # else fp16 has next to no number inside
        return self.nearest(_half(drawn) if narrow else drawn)

    @staticmethod
    def _stated(low: float, high: float) -> tuple[float, float]:
        """Both ends of what whole numbers are drawn from."""
        if math.isinf(low):
            low = 0.0 if math.isinf(high) or high >= 0 else high - UNSTATED + 1
        return low, low + UNSTATED - 1 if math.isinf(high) else high

    def nearest(self, array: Array) -> Array:
        array = np.asarray(array)
        clipped = np.clip(np.rint(array) if self.whole else array, self.least, self.greatest)
        return clipped.astype(np.int64) if self.whole else clipped

    def described(self) -> Described:
        return {word: _plain(end) for word, end in self._limits()}

    def _limits(self) -> list[tuple[str, float]]:
        lower = [("above" if self.excluded[0] else "at_least", self.low)]
        upper = [("below" if self.excluded[1] else "at_most", self.high)]
        return [(word, end) for word, end in lower + upper if math.isfinite(end)]

    def __str__(self) -> str:
        limits = self._limits()
        if [word for word, _ in limits] == ["at_least", "at_most"]:
            return f"in [{number_text(self.low)}, {number_text(self.high)}]"
        return " and ".join(f"{WORDS[word]} {number_text(end)}" for word, end in limits) or "any number"


MASK = Choices((0.0, 1.0))


def limited(limits: Mapping[str, float], *, whole: bool = False) -> Interval:
    """The interval of limits by their names in a manifest: above, at_least, below, at_most."""
    low = limits.get("above", limits.get("at_least", -math.inf))
    high = limits.get("below", limits.get("at_most", math.inf))
    return Interval(float(low), float(high), ("above" in limits, "below" in limits), whole=whole)


def described_as(described: Described, *, whole: bool = False) -> Domain:
    """The domain that `Domain.described` described."""
    choices = described.get("one_of")
    if isinstance(choices, list):
        return Choices(tuple(map(float, choices)), whole=whole)
    return limited({word: end for word, end in described.items() if not isinstance(end, list)}, whole=whole)


def number_text(value: float) -> str:
    """A number as a spec and the textual IR write it: whole ones without a point."""
    return str(_plain(value))


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _half(array: Array) -> Array:
    """Each entry as fp16 rounds it; infinite beyond its range."""
    with np.errstate(over="ignore"):
        return np.asarray(array.astype(np.float16).astype(np.float64))
