"""The tables of silu and gelu, whose values are fitted and published in part.

Published are the grids, the largest errors, the values at two knots of each (751K, notes/numerics.md F3, F3b;
data/06_numerics/lut_ulp_m6.txt) and where the error is least (f3_lut_m6.txt). Between two knots the table is a straight
line, so two places in one interval at which it has the exact value give the line, and the values at both knots. Where
two such intervals meet, both give the same value to 2e-5.

A value that follows from nothing lies between bounds: neither there nor in the middle of an interval may the table be
further from the function than the published largest error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from mctc.evaluate.coreml.ops.activation import erf
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.arithmetic import Unknown
from mctc.evaluate.engine.interpolation import Table, half
from mctc.records import dataclass

POINTS = 33


@dataclass(frozen=True)
class Fitted:
    """function: what the table stands for. largest: its largest error. values: at knots, as published.

    exact: pairs of places between the same two knots at which the table has the function's value.
    """

    function: Callable[[Array], Array]
    first: float
    step: float
    largest: float
    values: Mapping[float, float]
    exact: tuple[tuple[float, float], ...]

    @property
    def knots(self) -> Array:
        return self.first + self.step * np.arange(POINTS)

    def known(self) -> dict[int, float]:
        """The values that are published or follow, by knot."""
        found: dict[int, list[float]] = {}
        for one, other in self.exact:
            lower = int((one - self.first) // self.step)
            at = self.function(np.array([one, other]))
            slope = (at[1] - at[0]) / (other - one)
            for knot in (lower, lower + 1):
                found.setdefault(knot, []).append(float(at[0] + slope * (self.knots[knot] - one)))
        known = {knot: float(np.mean(values)) for knot, values in found.items()}
        return known | {int((x - self.first) / self.step): value for x, value in self.values.items()}

    def bounds(self) -> tuple[Array, Array]:
        """The least and the largest that each value can be; equal where it is known."""
        exact = self.function(self.knots)
        part = np.linspace(0.0, 1.0, 65)
        inside = self.knots[:-1, None] + self.step * part
        above = exact[:-1, None] * (1 - part) + exact[1:, None] * part - self.function(inside)
        bulge, sag = above.max(axis=1), -above.min(axis=1)  # of the chord over the function, and below it
        room = self.largest - np.spacing(np.abs(exact).astype(np.float16)).astype(np.float64)  # results round, too
        high = exact + room - np.maximum(np.append(bulge, 0.0), np.insert(bulge, 0, 0.0))
        low = exact - room + np.maximum(np.append(sag, 0.0), np.insert(sag, 0, 0.0))
        for knot, value in self.known().items():
            low[knot] = high[knot] = value
        return low, high

    def table(self, unknown: Unknown) -> Table:
        low, high = self.bounds()
        values = {"low": low, "mid": (low + high) / 2, "high": high}[unknown]
        stored = half(values)
        inward = {"low": 1.0, "mid": 0.0, "high": -1.0}[unknown]
        free = (low < high) & ((stored - values) * inward < 0)
        toward = np.float16(np.inf * inward) if inward else np.float16(0)
        stored[free] = np.nextafter(stored.astype(np.float16), toward)[free]
        return Table(self.first, self.step, stored)


def silu(x: Array) -> Array:
    """x / (1 + exp(-x)) in float64."""
    with np.errstate(over="ignore"):
        return np.asarray(x / (1 + np.exp(-x)))


def gelu(x: Array) -> Array:
    """x times the normal distribution function, in float64."""
    return np.asarray(x * 0.5 * (1 + erf(np.asarray(x * np.sqrt(0.5)))))


FITTED = {
    "silu": Fitted(
        silu, -8.0, 0.5, 1.491e-2,
        {0.0: -1787 * 2.0**-20, 0.5: 0.29639},
        ((-6.8711, -6.6133), (-6.4141, -6.1289), (-5.8945, -5.6133), (-5.4102, -5.1172), (-4.9062, -4.5977),
         (-4.4141, -4.125)),
    ),
    "gelu": Fitted(
        gelu, -4.0, 0.25, 6.159e-3,
        {0.0: -1582 * 2.0**-21, 0.25: 0.143555},
        ((-3.4434, -3.3125), (-3.207, -3.0664), (-2.9512, -2.8086), (-2.7031, -2.5586), (-2.4531, -2.3008),
         (-2.2031, -2.0566), (-1.9443, -1.7988)),
    ),
}  # fmt: skip
"""silu(0.5) is published as 0.296, gelu(0.25) as 0.1436: of the fp16 numbers that are written so, one each keeps the
largest error. At 0 stands what gives the published errors at -2.3e-5 (28560.0 last places) and -1.5e-5 (12632.0)."""


@cache
def fitted_table(name: str, unknown: Unknown) -> Table:
    return FITTED[name].table(unknown)
