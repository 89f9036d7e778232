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
        different, which = np.unique(points, return_inverse=True)  # k-means is over these, each once
        masses_of = np.bincount(which, weights=np.maximum(mass, mass.max() * 1e-6 or 1.0))
        table[index] = lloyd(different.astype(np.float64), masses_of, entries)
    return TableGrid(_half(table), len(weight))


def fitted(weight: Array, rounded: Array, grid: TableGrid, moment: Array, rows: Array) -> tuple[TableGrid, Array]:
    """The tables that, with the codes as they are, change the output least: sum over rows r of
    rows[r] (w - q)' moment (w - q) is a quadratic form in each table's entries. And what these codes then stand for."""
    groups, entries = grid.table.shape
    table, each = grid.table.copy(), len(weight) // groups
    found = np.empty_like(rounded)
    for index in range(groups):
        members = slice(index * each, (index + 1) * each)
        codes = np.searchsorted(grid.table[index], rounded[members])
        taken = np.asarray(codes[:, None] == np.arange(entries)[:, None], np.float32)  # [rows, entries, n]
        seen = (taken.reshape(-1, taken.shape[-1]) @ moment).reshape(taken.shape)
        form = np.einsum("r,ref->ef", rows[members], seen @ taken.transpose(0, 2, 1))
        right = np.einsum("r,re->e", rows[members], (seen @ weight[members, :, None])[..., 0])
        ridge = RIDGE * (form.diagonal().max() or 1.0)
        table[index] = np.linalg.solve(form + ridge * np.eye(entries), right + ridge * table[index])
        table[index] = _half(table[index])
        found[members] = table[index][codes]
    return TableGrid(np.sort(table, axis=1), grid.rows), found


def _half(table: Array) -> Array:
    return np.asarray(table.astype(np.float16).astype(np.float64))
