"""Functions of each number, applied to a large array a block at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mctc.ir.op import Array

BLOCK = 1 << 15  # numbers that a processor's cache holds in double precision


def in_blocks(function: Callable[[Array], Array], x: Array) -> Array:
    """What a function of each number gives, a block of them after the other: what it holds meanwhile, often in double
    precision, would be several times a large array."""
    if x.size <= BLOCK or not x.flags.c_contiguous:
        return function(x)
    flat = x.reshape(-1)
    first = function(flat[:BLOCK])
    y = np.empty(x.shape, first.dtype)
    made = y.reshape(-1)
    made[:BLOCK] = first
    for begin in range(BLOCK, flat.size, BLOCK):
        made[begin : begin + BLOCK] = function(flat[begin : begin + BLOCK])
    return y
