"""Rounding whose errors the weights that are not rounded yet make up for.

A weight's columns are rounded one after another; what each rounding changes in the output is undone, as far as it can
be, by the columns behind it, given the products of the inputs E[x x'] (Frantar et al. 2022, arXiv:2210.17323, after
Hassibi and Stork 1993). Columns of large inputs come first.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, lapack

from mctc.compress.errors import CompressError
from mctc.compress.grids import Grid
from mctc.ir.op import Array
from mctc.records import dataclass

DAMPING = 0.01  # of the mean diagonal, added to it: directions that the calibration has not seen
DEAD = 1e-9  # of the mean diagonal: inputs of less power are none
BLOCK = 128  # columns between two updates of all that is left


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
    """The weight [rows, n] on a grid."""
    order, factor = inputs.columns, inputs.factor
    left = np.array(weight[:, order], np.float64)
    out = np.empty_like(left)
    for begin in range(0, left.shape[1], BLOCK):
        end = min(begin + BLOCK, left.shape[1])
        errors = np.empty((len(left), end - begin))
        for at in range(begin, end):
            out[:, at] = grid.nearest(int(order[at]), left[:, at])
            errors[:, at - begin] = (left[:, at] - out[:, at]) / factor[at, at]
            left[:, at + 1 : end] -= errors[:, at - begin, None] * factor[at, at + 1 : end]
        left[:, end:] -= errors @ factor[begin:end, end:]
    result = np.empty_like(out)
    result[:, order] = out
    return result


def descended(weight: Array, rounded: Array, grid: Grid, moment: Array, columns: Array) -> Array:
    """A rounding that no change of one column improves less: each column in turn takes the numbers of the grid that are
    best with all others as they are (Behdin et al. 2023, arXiv:2309.01885).

    rounded: [rows, n], on the grid. columns: their order.
    """
    products = np.asarray(moment[np.ix_(columns, columns)], np.float64)
    curvature = np.diag(products) + DEAD * max(float(np.trace(products)) / len(columns), DEAD)
    result = np.array(rounded[:, columns], np.float64)
    slope = (result - weight[:, columns]) @ products
    for begin in range(0, result.shape[1], BLOCK):
        end = min(begin + BLOCK, result.shape[1])
        changes, felt = np.zeros((len(result), end - begin)), slope[:, begin:end].copy()
        for at in range(begin, end):
            best = grid.nearest(int(columns[at]), result[:, at] - felt[:, at - begin] / curvature[at])
            changes[:, at - begin] = best - result[:, at]
            result[:, at] = best
            felt += changes[:, at - begin, None] * products[at, begin:end]
        slope += changes @ products[begin:end]
    found = np.empty_like(result)
    found[:, columns] = result
    return found


def _factor(moment: Array, damping: float) -> Array:
    """Upper triangular U with U' U the inverse of the damped moment."""
    damped = np.array(moment, np.float64)
    diagonal = np.diag(damped)
    added = damping * float(diagonal.mean()) or 1.0  # an input that was always zero leaves the weights as they are
    damped[np.diag_indices_from(damped)] += added
    try:
        lower = cholesky(damped, lower=True, check_finite=True)
        inverse, failed = lapack.dpotri(lower, lower=1)
        if failed:
            raise ValueError("singular")
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        return np.asarray(cholesky(inverse, lower=False))
    except (ValueError, np.linalg.LinAlgError) as error:
        hint = "the file of --stats is damaged: calibrate again"
        raise CompressError(f"products of inputs that no calibration gives: {error}", hint=hint) from error
