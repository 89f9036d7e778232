"""What falls out in training: entries, channels, frames, utterances (dropout), or a layer for the whole batch.

Nothing happens unless `training` is true, which a module's `.train()` and `.eval()` decide. What was zero stays zero,
and so does the padding of a batch. A layer that gradient checkpointing computes again draws what it drew before.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def dropout(x: Tensor, rate: float, training: bool, *, shared: Collection[int] = ()) -> Tensor:
    """x, in training with zeros in place of what is drawn with probability `rate`, and the rest divided by 1 - rate.

    Entries along the axes `shared` fall together: (2, 3) drops channels of (B, C, 1, S), (1, 2) frames, (1, 2, 3)
    utterances, which is stochastic depth where x is a residual branch.
    """
    if not training or not rate:
        return x
    if not shared:
        return F.dropout(x, rate)
    shape = [1 if axis in shared else extent for axis, extent in enumerate(x.shape)]
    return x * F.dropout(x.new_ones(shape), rate)


def layer_drop(after: Tensor, before: Tensor, rate: float, training: bool) -> Tensor:
    """What a layer made, or with probability `rate` in training what it was given: one draw for the whole batch.

    The layer is computed all the same, so every parameter gets a gradient (zero where the layer was dropped), as
    DistributedDataParallel wants it, and a compiled graph has no branch.
    """
    if not training or not rate:
        return after
    return torch.where(torch.rand((), device=after.device) < rate, before, after)
