"""The best that is known of a weight at a stored form: of several ways to round it, the one that changes least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from mctc.compress.compensated import Order, compensated, descended
from mctc.compress.grids import ScaledGrid, TableGrid
from mctc.compress.tables import clustered, fitted
from mctc.ir.op import Array
from mctc.ir.program import Quantization
from mctc.quantize import Palette, Quantized, Scaled, quantize
from mctc.records import dataclass

FINE = 6  # bits from which a table holds a weight well enough
TOGETHER = 1024  # rows that are rounded at once: what a column takes by itself is shared, and memory stays small


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    shares: of its largest weight that a row's scale may reach, below 8 bits. compensated: how many of them, the best to
    the nearest, have errors made up for. rounds: of fitting a table to the codes and improving these. kinds: of
    k-means, every weight alike or by its Fisher information.
    """

    compensated: int = 3
    rounds: int = 3
    kinds: tuple[str, ...] = ("k-means", "Fisher k-means")
    shares: tuple[float, ...] = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


EFFORTS = {"full": Effort(), "quick": Effort(1, 1, ("k-means",)), "nearest": Effort(0, 0, ("k-means",))}
FULL, QUICK = EFFORTS["full"], EFFORTS["quick"]


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

    @cached_property
    def products(self) -> Array:
        """E[x x'] in float32."""
        assert self.moment is not None
        return np.asarray(self.moment, np.float32)

    def rows(self, weight: Array) -> Array:
        """How much the loss feels a change of each row's output: the Fisher diagonal over the inputs' power."""
        if self.fisher is None:
            return np.ones(len(weight))
        power = 1.0 if self.moment is None else float(np.trace(self.moment))
        return np.asarray(self.fisher.reshape(weight.shape).sum(axis=1) / (power or 1.0))

    def part(self, rows: slice) -> Known:
        """Of some rows of the weight."""
        if self.fisher is None:
            return self
        found = Known(self.moment, self.fisher.reshape(len(self.fisher), -1)[rows])
        if self.moment is not None:
            vars(found).update(order=self.order, products=self.products)  # which all rows have in common
        return found

    def cost(self, weight: Array, rounded: Array) -> float:
        """The loss that rounding is predicted to add to an utterance, in nats.

        Half of e' F e, with F by rows a multiple of E[x x'] (Martens and Grosse 2015, arXiv:1503.05671); where no
        inputs were seen, with the diagonal of F.
        """
        return float(self.costs(weight, rounded).sum(dtype=np.float64))

    def costs(self, weight: Array, rounded: Array) -> Array:
        """What each row of it adds."""
        error = np.subtract(rounded, weight, dtype=np.float32)
        if self.moment is None:
            fisher = np.ones_like(error) if self.fisher is None else self.fisher.reshape(error.shape)
            return np.asarray(0.5 * (fisher * error**2).sum(axis=1))
        return np.asarray(0.5 * self.rows(weight) * np.einsum("rn,rn->r", error @ self.products, error))


@dataclass(frozen=True)
class Rounded:
    """A weight as it is stored: values in float32, in the weight's own shape, by which way, at which predicted cost."""

    values: Array
    way: str
    cost: float


def plain(value: Array, how: Quantization, known: Known) -> Rounded:
    """Every weight by itself, as `mctc build` rounds it."""
    values = _values(quantize(value, how))
    return Rounded(values, "nearest", known.cost(*_own_rows(value, values)))


def _own_rows(*values: Array) -> Iterator[Array]:
    """By the first axis, as statistics have a weight, wherever its output channels lie."""
    return (each.reshape(len(each), -1) for each in values)


def rounded(value: Array, how: Quantization, known: Known, effort: Effort = FULL) -> Rounded:
    """Of each row, or of all rows that share a table, the way of the least predicted cost. Output channels lie along
    `how.axis`."""
    stored = quantize(value, how)
    nearest = _values(stored)
    weight, values = _rows(value, how), _rows(nearest, how)
    if how.axis or value.ndim < 2:
        return Rounded(nearest, "nearest", known.cost(*_own_rows(value, nearest)))
    values, taken, cost = values.copy(), Counter[str](), 0.0
    unit = 1 if isinstance(stored, Scaled) else how.group or len(weight)
    step = max(TOGETHER // unit, 1) * unit
    for begin in range(0, len(weight), step):
        part = slice(begin, begin + step)
        some, here, there = known.part(part), weight[part], values[part]
        if isinstance(stored, Palette):
            tables = stored.table[begin // unit :][: len(here) // unit].astype(np.float64)
            ways = _palettes(here, TableGrid(tables, len(here)), some, effort)
        else:
            ways = _scaled(here, how, some, effort)
        costs = some.costs(here, there).reshape(-1, unit).sum(axis=1)
        way = np.full(len(costs), "nearest", object)
        for name, found in ways if costs.any() else ():
            new = some.costs(here, found).reshape(-1, unit).sum(axis=1)
            better = new < costs
            way[better], costs[better] = name, new[better]
            rows = np.repeat(better, unit)
            there[rows] = found[rows]
        taken.update(way)
        cost += float(costs.sum())
    return Rounded(values.reshape(value.shape), taken.most_common(1)[0][0], cost)


def _scaled(weight: Array, how: Quantization, known: Known, effort: Effort) -> Iterator[tuple[str, Array]]:
    """The best scale of each row by itself, then a few of the best with errors made up for, all in one go."""
    if known.moment is None:
        return
    shares = np.array(effort.shares if how.bits < 8 else (1.0,))
    power = known.products.diagonal()
    alone = [ScaledGrid.of(weight, how.scheme, share).of_all(weight) for share in shares]
    ranked = np.argsort([np.square(each - weight) @ power for each in alone], axis=0, kind="stable")
    yield "scales of the inputs' power", np.stack(alone)[ranked[0], np.arange(len(weight))]
    tried = shares[ranked[: effort.compensated]]
    if not len(tried):
        return
    again = np.tile(weight, (len(tried), 1))
    grid = ScaledGrid.of(again, how.scheme, tried.ravel())
    found = compensated(again, grid, known.order)
    yield from (("compensated", each) for each in np.split(found, len(tried)))
    if how.bits < FINE:
        found = descended(again, found, grid, known.products, known.order.columns)
        yield from (("compensated, descended", each) for each in np.split(found, len(tried)))


def _palettes(weight: Array, nearest: TableGrid, known: Known, effort: Effort) -> Iterator[tuple[str, Array]]:
    """nearest: the tables that are found without knowing anything."""
    groups, entries = nearest.table.shape
    tables = {"k-means": nearest.table}
    if known.fisher is not None and "Fisher k-means" in effort.kinds:
        tables["Fisher k-means"] = clustered(weight, entries, groups, known.fisher.reshape(weight.shape)).table
    if known.moment is None:
        yield from ((name, TableGrid(table, len(weight)).of_all(weight)) for name, table in tables.items())
    if known.moment is None or not effort.compensated:
        return
    again, rows = np.tile(weight, (len(tables), 1)), np.tile(known.rows(weight), len(tables))
    grid = TableGrid(np.concatenate(list(tables.values())), len(again))
    found = compensated(again, grid, known.order)
    yield from ((f"{name}, compensated", each) for name, each in zip(tables, np.split(found, len(tables))))
    for _ in range(effort.rounds if entries < 1 << FINE else 0):
        grid, found = fitted(again, found, grid, known.products, rows)
        found = descended(again, found, grid, known.products, known.order.columns)
        told = "compensated, fitted, descended"
        yield from ((f"{name}, {told}", each) for name, each in zip(tables, np.split(found, len(tables))))


def _values(stored: Quantized) -> Array:
    """In float32: of codes and scales the very product, of which an artifact may hold the nearest fp16 number."""
    if isinstance(stored, Palette):
        return stored.values()
    return np.asarray(stored.codes * stored.scale.astype(np.float32), np.float32)


def _rows(value: Array, how: Quantization) -> Array:
    """[output channels, entries of each] in float32."""
    return np.asarray(np.moveaxis(value, how.axis, 0).reshape(value.shape[how.axis], -1), np.float32)


def again(found: Rounded, how: Quantization) -> bool:
    """Whether a build finds these very values in a checkpoint of them."""
    return np.array_equal(plain(found.values, how, Known(None, None)).values, found.values)
