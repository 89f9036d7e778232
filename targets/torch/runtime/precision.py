"""Tensors of two precisions that meet."""

from __future__ import annotations

from torch import Tensor


def narrowed(x: Tensor, weight: Tensor | None) -> Tensor:
    """x in the type of the weight that it meets, where that is narrower: a constant in fp32 has widened it.

    With FSDP's mixed precision parameters are in 16 bits and constants are not.
    """
    return x if weight is None or weight.dtype.itemsize >= x.dtype.itemsize else x.to(weight.dtype)
