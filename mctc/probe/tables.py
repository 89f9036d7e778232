"""Probes of functions of one number: every fp16 number in, the whole table out."""

from __future__ import annotations

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.probe.probe import Kind, Probe, inputs_of, packages_of
from mctc.records import dataclass

SHAPE = (1, 64, 32, 32)
NUMBERS = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
"""All of them, by their bits: as many as SHAPE has entries."""


@dataclass(frozen=True)
class Grid:
    """Where a table has its knots: first + step * (0 ... count - 1)."""

    first: float
    step: float
    count: int = 33

    @property
    def knots(self) -> Array:
        return self.first + self.step * np.arange(self.count)


GRIDS = {
    "silu": Grid(-8.0, 0.5), "gelu": Grid(-4.0, 0.25), "sigmoid": Grid(-8.0, 0.5), "tanh": Grid(0.0, 0.125),
    "erf": Grid(0.0, 1 / 16),
}  # fmt: skip
"""The published grids that end at a number; those by octaves are read out at all numbers alone."""
OPERANDS = {
    "silu": "", "gelu": ', mode="EXACT"', "sigmoid": "", "tanh": "", "erf": "", "exp": "", "softplus": "", "sqrt": "",
    "log": ", epsilon=0.0", "rsqrt": ", epsilon=0.0", "round": "",
}  # fmt: skip
"""Functions that are read out, with what else their op takes."""


def tables() -> list[Probe]:
    """One for every function."""
    return [_table(name, extra) for name, extra in OPERANDS.items()]


def _table(name: str, extra: str) -> Probe:
    shape = ", ".join(map(str, SHAPE))
    package, bare = packages_of(f"table_{name}", f"""
        x: fp16[{shape}]
        y: fp16[{shape}] = {name}(x=x{extra})
    """, "y")  # fmt: skip
    question = f"{name} at all fp16 numbers: its table, how it ends, how it rounds"
    given = {"x": NUMBERS.reshape(SHAPE)}
    return Probe(f"table_{name}", Kind.TABLE, question, package, bare, inputs_of(package, given), name, "y")


def at(result: Array, numbers: Array) -> Array:
    """The results of some numbers out of all of them."""
    flat = np.asarray(result, np.float32).reshape(-1)
    return flat[np.asarray(numbers).astype(np.float16).view(np.uint16)]


def knots(name: str, result: Array) -> Array:
    """The values at a table's knots."""
    return at(result, GRIDS[name].knots)


def off_line(name: str, result: Array) -> float:
    """How far results between knots are from straight lines through the knots, in last places, at most."""
    grid = GRIDS[name]
    parts = np.linspace(0, 1, 9)[1:-1]
    inside = (grid.knots[:-1, None] + grid.step * parts).astype(np.float16)
    values = knots(name, result).astype(np.float64)
    part = (inside.astype(np.float64) - grid.knots[:-1, None]) / grid.step
    line = values[:-1, None] * (1 - part) + values[1:, None] * part
    unit = np.spacing(np.maximum(np.abs(line), 2.0**-14).astype(np.float16)).astype(np.float64)
    return float((np.abs(at(result, inside) - line) / unit).max())
