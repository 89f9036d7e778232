"""A product with a constant matrix that only puts rows or columns in an order, as programs turn frames and channels."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mctc.evaluate.coreml.precision import Array

MOST = 1 << 16
"""Entries of a matrix that is looked at: those of weights are no selection."""
_ZERO = np.float32(0)


class Selection:
    """The product of `matrix`, whose rows (columns, where it is on the right) have one 1 each and zeros else.

    Each sum is one entry and zeros, so the entries are taken and nothing is to be rounded. Zero times infinity is no
    zero: an operand that isn't finite is multiplied.
    """

    exact = True

    def __init__(self, left: bool, matrix: Array, options: Mapping[str, bool]) -> None:
        self.left, self.matrix = left, matrix
        rows = matrix.reshape(matrix.shape[-2:]) if left else matrix.reshape(matrix.shape[-2:]).T
        self.width, order = int(matrix.shape[-1 if left else -2]), rows.argmax(axis=1)
        self.order = None if np.array_equal(order, np.arange(self.width)) else order
        self.turned = options.get("transpose_y" if left else "transpose_x", False)

    def __call__(self, x: Array | None = None, y: Array | None = None) -> Array:
        other = y if self.left else x
        assert other is not None
        found = np.swapaxes(other, -1, -2) if self.turned else other
        if found.dtype == np.float32 and found.ndim >= self.matrix.ndim:
            result = self._taken(found)
            if result is not None and np.isfinite(np.add.reduce(result, axis=None)):
                return result
        matrix = self.matrix.astype(found.dtype, copy=False)
        return np.matmul(matrix, found) if self.left else np.matmul(found, matrix)

    def _taken(self, found: Array) -> Array | None:
        """The entries in their order; -0 is 0, as a sum has it. None where shapes don't fit."""
        if found.shape[-2 if self.left else -1] != self.width:
            return None
        if self.order is not None:
            found = found[..., self.order, :] if self.left else found[..., self.order]
        return np.add(found, _ZERO, order="C")


def selection(name: str, constant: Array, options: Mapping[str, bool]) -> Selection | None:
    """The product of a constant operand, "x" or "y", if it is a selection."""
    left = name == "x"
    matrix = np.swapaxes(constant, -1, -2) if constant.ndim > 1 and options.get(f"transpose_{name}") else constant
    if matrix.ndim < 2 or matrix.size > MOST or matrix.size != matrix.shape[-2] * matrix.shape[-1]:
        return None
    rows = matrix.reshape(matrix.shape[-2:]) if left else matrix.reshape(matrix.shape[-2:]).T
    single = ((rows == 1).sum(axis=1) == 1) & ((rows != 0).sum(axis=1) == 1)
    return Selection(left, matrix, options) if single.all() else None
