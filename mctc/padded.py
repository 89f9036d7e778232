"""Tensors that a module of the whole spec holds longer than the spec has them, where the spec of a build cuts them.

A training module pads its vocabulary, so its checkpoint does. A build of the same spec finds the padded shape among
those that its own recipe passes through; of a pruned spec the recipe cuts one axis and pads another, and a checkpoint
of the whole module is padded but not cut.
"""

from __future__ import annotations

import numpy as np

from mctc.ir.op import Array

Shape = tuple[int, ...]


def is_padded(shape: Shape, source: Shape, used: Shape) -> bool:
    """Whether a tensor is the spec's, `source`, but for entries behind an axis that is as long in the end, in `used`.

    Axes of extent 1 are not counted.
    """
    held, own, end = (_longer(each) for each in (shape, source, used))
    if not len(held) == len(own) == len(end):
        return False
    return held != own and all(have in (one, max(one, last)) for have, one, last in zip(held, own, end))


def unpadded(value: Array, shape: Shape) -> Array:
    """The entries of a tensor that the spec has. Raises ValueError for one that is no such."""
    if value.size == np.prod(shape, dtype=np.int64):
        return value.reshape(shape)
    begin = value.reshape(_longer(value.shape))[tuple(slice(extent) for extent in _longer(shape))]
    return begin.reshape(shape)


def _longer(shape: Shape) -> Shape:
    return tuple(extent for extent in shape if extent != 1)
