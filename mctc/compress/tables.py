"""Tables of palettes: weighted k-means, and the least-squares fit to what comes out of the layer."""

from __future__ import annotations

import numpy as np

from mctc.compress.grids import TableGrid
from mctc.ir.op import Array
from mctc.quantize import lloyd

RIDGE = 1e-9  # of the largest diagonal: entries that no weight takes stay where they are


def clustered(weight: Array, entries: int, groups: int, importance: Array) -> TableGrid:
    """k-means over each group's weights, weighted by their importance (both [rows, n])."""
    rows, masses = weight.reshape(groups, -1), importance.reshape(groups, -1)
    table = np.empty((groups, entries))
    for index, (points, mass) in enumerate(zip(rows, masses)):
        order = np.argsort(points, kind="stable")
        table[index] = lloyd(points[order], np.maximum(mass[order], mass.max() * 1e-6 or 1.0), entries)
    return TableGrid(_half(table), len(weight))


def fitted(weight: Array, rounded: Array, grid: TableGrid, moment: Array, rows: Array) -> TableGrid:
    """The tables that, with the codes as they are, change the output least: sum over rows r of
    rows[r] (w - q)' moment (w - q) is a quadratic form in each table's entries."""
    groups, entries = grid.table.shape
    table = grid.table.copy()
    for index, members in enumerate(np.split(np.arange(len(weight)), groups)):
        form, right = np.zeros((entries, entries)), np.zeros(entries)
        for row in members:
            codes = np.searchsorted(grid.table[index], rounded[row])
            taken = np.zeros((entries, len(codes)))
            taken[codes, np.arange(len(codes))] = 1.0
            seen = taken @ moment
            form += rows[row] * (seen @ taken.T)
            right += rows[row] * (seen @ weight[row])
        ridge = RIDGE * (form.diagonal().max() or 1.0)
        table[index] = np.linalg.solve(form + ridge * np.eye(entries), right + ridge * table[index])
    return TableGrid(_half(np.sort(table, axis=1)), grid.rows)


def _half(table: Array) -> Array:
    return np.asarray(table.astype(np.float16).astype(np.float64))
