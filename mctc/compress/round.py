"""The best that is known of a weight at a stored form: of several ways to round it, the one that changes least."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from mctc.compress.compensated import Order, compensated, descended
from mctc.compress.grids import ScaledGrid
from mctc.compress.tables import clustered, fitted
from mctc.ir.op import Array
from mctc.ir.program import Quantization
from mctc.quantize import LEVELS, quantize
from mctc.records import dataclass

FINE = 6  # bits from which a table holds a weight well enough


@dataclass(frozen=True)
class Effort:
    """How much is tried. shares: of the largest weight that a scale reaches, below 8 bits. rounds: of fitting a table
    to the codes and improving these. kinds: of k-means, every weight alike or by its Fisher information."""

    shares: tuple[float, ...] = (1.0, 0.9, 0.8, 0.7)
    rounds: int = 3
    kinds: tuple[str, ...] = ("k-means", "Fisher k-means")


FULL, QUICK = Effort(), Effort((1.0, 0.8), 1, ("k-means",))


@dataclass(frozen=True)
class Known:
    """What a calibration knows of a weight [rows, n]: E[x x'] of its inputs and the Fisher diagonal, where it does."""

    moment: Array | None
    fisher: Array | None

    @cached_property
    def order(self) -> Order:
        """Of the inputs, which must have been seen."""
        assert self.moment is not None
        return Order.of(self.moment)

    def rows(self, weight: Array) -> Array:
        """How much the loss feels a change of each row's output: the Fisher diagonal over the inputs' power."""
        if self.fisher is None:
            return np.ones(len(weight))
        power = 1.0 if self.moment is None else float(np.trace(self.moment))
        return np.asarray(self.fisher.reshape(weight.shape).sum(axis=1) / (power or 1.0))

    def cost(self, weight: Array, rounded: Array) -> float:
        """The loss that rounding is predicted to add to an utterance, in nats.

        Half of e' F e, with F by rows a multiple of E[x x'] (Martens and Grosse 2015, arXiv:1503.05671); where no
        inputs were seen, with the diagonal of F.
        """
        error = rounded - weight
        if self.moment is None:
            fisher = np.ones_like(error) if self.fisher is None else self.fisher.reshape(error.shape)
            return float(0.5 * (fisher * error**2).sum())
        return float(0.5 * (self.rows(weight) * np.einsum("rn,rn->r", error @ self.moment, error)).sum())


@dataclass(frozen=True)
class Rounded:
    """A weight as it is stored: values in float32, in the weight's own shape, by which way, at which predicted cost."""

    values: Array
    way: str
    cost: float


def plain(value: Array, how: Quantization, known: Known) -> Rounded:
    """Every weight by itself, as `mctc build` rounds it."""
    values = quantize(value, how).values()
    if how.scheme in LEVELS:
        stored = quantize(value, how)
        values = np.asarray(stored.codes * stored.scale.astype(np.float32), np.float32)  # type: ignore[union-attr]
    return Rounded(values, "nearest", known.cost(_rows(value, how), _rows(values, how)))


def rounded(value: Array, how: Quantization, known: Known, effort: Effort = FULL) -> Rounded:
    """The way of the least predicted cost. Output channels lie along `how.axis`."""
    best = plain(value, how, known)
    if how.axis or value.ndim < 2:
        return best
    weight = _rows(value, how)
    ways = _scaled if how.scheme in LEVELS else _palettes
    for way, found in ways(weight, how, known, effort):
        cost = known.cost(weight, found)
        if cost < best.cost:
            best = Rounded(np.asarray(found.reshape(value.shape), np.float32), way, cost)
    return best


def _scaled(weight: Array, how: Quantization, known: Known, effort: Effort) -> Iterator[tuple[str, Array]]:
    if known.moment is None:
        return
    for share in effort.shares if how.bits < 8 else (1.0,):
        told = "compensated" if share == 1 else f"compensated, scales of {share:g}"
        grid = ScaledGrid.of(weight, how.scheme, share)
        found = compensated(weight, grid, known.order)
        yield told, found
        if how.bits < FINE:
            yield f"{told}, descended", descended(weight, found, grid, known.moment, known.order.columns)


def _palettes(weight: Array, how: Quantization, known: Known, effort: Effort) -> Iterator[tuple[str, Array]]:
    groups = len(weight) // how.group if how.group else 1
    masses = {"k-means": np.ones_like(weight)}
    if known.fisher is not None:
        masses["Fisher k-means"] = known.fisher.reshape(weight.shape)
    for name, mass in masses.items():
        if name not in effort.kinds:
            continue
        grid = clustered(weight, 1 << how.bits, groups, mass)
        if known.moment is None:
            yield name, grid.of(weight)
            continue
        found = compensated(weight, grid, known.order)
        yield f"{name}, compensated", found
        for _ in range(effort.rounds if how.bits < FINE else 0):
            grid = fitted(weight, found, grid, known.moment, known.rows(weight))
            found = descended(weight, grid.of(found), grid, known.moment, known.order.columns)
            yield f"{name}, compensated, fitted, descended", found


def _rows(value: Array, how: Quantization) -> Array:
    """[output channels, entries of each] in float64."""
    return np.asarray(np.moveaxis(value, how.axis, 0).reshape(value.shape[how.axis], -1), np.float64)


def again(found: Rounded, how: Quantization) -> bool:
    """Whether a build finds these very values in a checkpoint of them."""
    return np.array_equal(plain(found.values, how, Known(None, None)).values, found.values)
