"""Rounding whose errors the weights that are not rounded yet make up for.

A weight's columns are rounded one after another; what each rounding changes in the output is undone, as far as it can
be, by the columns behind it, given the products of the inputs E[x x'] (Frantar et al. 2022, arXiv:2210.17323, after
Hassibi and Stork 1993). Columns of large inputs come first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import cholesky, lapack

from mctc.compress.errors import CompressError
from mctc.compress.grids import Grid
from mctc.ir.op import Array
from mctc.records import dataclass

DAMPING = 0.01  # of the mean diagonal, added to it: directions that the calibration has not seen
DEAD = 1e-9  # of the mean diagonal: inputs of less power are none
BLOCK = 128  # columns between two updates of all that is left
STRIP = 16  # and between two of the rest of a block


@dataclass(frozen=True)
class Order:
    """The columns of a weight in the order of their inputs' power, and the factor of the inverse of their products."""

    columns: Array
    factor: Array

    @classmethod
    def of(cls, moment: Array, damping: float = DAMPING) -> Order:
        """moment: [n, n]. Raises CompressError for products that are none."""
        columns = np.argsort(-np.diag(moment), kind="stable")
        return cls(columns, _factor(moment[np.ix_(columns, columns)], damping))


def compensated(weight: Array, grid: Grid, inputs: Order) -> Array:
    """The weight [rows, n] on a grid, in float32."""
    order, factor = inputs.columns, np.asarray(inputs.factor / inputs.factor.diagonal()[:, None], np.float32)
    left = np.ascontiguousarray(weight.T[order], np.float32)  # a column lies together
    return _rounded(grid, order, left, left, factor.T, lambda at: left[at])


def descended(weight: Array, rounded: Array, grid: Grid, moment: Array, columns: Array) -> Array:
    """A rounding that no change of one column improves less: each column in turn takes the numbers of the grid that are
    best with all others as they are (Behdin et al. 2023, arXiv:2309.01885).

    rounded: [rows, n], on the grid. columns: their order.
    """
    products = np.asarray(moment[np.ix_(columns, columns)], np.float32)
    diagonal = products.diagonal()
    curvature = diagonal + np.float32(DEAD * max(float(diagonal.sum(dtype=np.float64)) / len(columns), DEAD))
    result = np.ascontiguousarray(rounded.T[columns], np.float32)
    slope = products @ (result - weight.T[columns].astype(np.float32))
    return _rounded(grid, columns, result, slope, products, lambda at: result[at] - slope[at] / curvature[at])


def _rounded(
    grid: Grid, order: Array, values: Array, seen: Array, effect: Array, wanted: Callable[[int], Array]
) -> Array:
    """The weight [rows, n] of columns [n, rows] in an order: each in turn takes the numbers that are nearest to what is
    wanted of it, and those behind it see by how much they change it.

    values, seen: [n, rows], changed in place. effect: [n, n], of a change of the second on what the first sees.
    """
    for begin in range(0, len(values), BLOCK):
        block = slice(begin, min(begin + BLOCK, len(values)))
        changes = np.empty_like(values[block])
        for first in range(begin, block.stop, STRIP):
            strip = slice(first, min(first + STRIP, block.stop))
            for at in range(first, strip.stop):
                best = grid.nearest(int(order[at]), wanted(at))
                change = np.subtract(best, values[at], out=changes[at - begin])
                values[at] = best
                seen[at + 1 : strip.stop] += effect[at + 1 : strip.stop, at, None] * change
            done = changes[first - begin : strip.stop - begin]
            seen[strip.stop : block.stop] += effect[strip.stop : block.stop, strip] @ done
        seen[block.stop :] += effect[block.stop :, block] @ changes
    result = np.empty_like(values)
    result[order] = values
    return np.ascontiguousarray(result.T)


def _factor(moment: Array, damping: float) -> Array:
    """Upper triangular U with U' U the inverse of the damped moment: the inverse of its factor from the other end."""
    damped = np.array(moment[::-1, ::-1], np.float64, order="F")
    added = damping * float(damped.diagonal().mean()) or 1.0  # inputs that were always zero leave weights as they are
    damped[np.diag_indices_from(damped)] += added
    try:
        lower = cholesky(damped, lower=True, overwrite_a=True, check_finite=True)
        inverse, failed = lapack.dtrtri(lower, lower=1, overwrite_c=1)
        if failed:
            raise ValueError("singular")
        return np.asarray(inverse[::-1, ::-1])
    except (ValueError, np.linalg.LinAlgError) as error:
        hint = "the file of --stats is damaged: calibrate again"
        raise CompressError(f"products of inputs that no calibration gives: {error}", hint=hint) from error
