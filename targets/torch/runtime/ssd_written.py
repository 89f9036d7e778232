"""Several writes and reads of a frame, and what it reads of itself, made of the scan that has one of each.

A frame becomes as many frames as it writes, of which the first decays the state and the last is read; each read has
heads of its own, which hold the same state.
"""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def written(
    x: Tensor, weight: Tensor, decay: Tensor, B: Tensor, C: Tensor, h: Tensor | None, diagonal: Tensor | None,
    groups: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """y (Batch, R * Heads * P, L) without the skip, and the state after the last frame.

    x: (Batch, W * Heads * P, L), weight: (Batch, W * Heads, L), decay: (Batch, Heads, L), its logarithm, B: (Batch, W *
    groups * N, L), C: (Batch, R * groups * N, L), diagonal as weight, h: (Batch, Heads * P, N).
    """
    writes, early = weight.shape[1] // decay.shape[1], diagonal is not None
    channels, both = x.shape[1] // writes, B.shape[1] // writes
    reads = C.shape[1] // both
    frames = writes + early  # with a diagonal the first writes nothing, and is read

    def beside(each: Tensor) -> Tensor:
        """(Batch, W * C, L) to (Batch, C, L * frames): the writes as frames."""
        each = torch.unflatten(each, 1, (writes, -1)).movedim(1, -1)
        return F.pad(each, (frames - writes, 0)).flatten(2)

    def copied(each: Tensor) -> Tensor:
        return each.repeat(1, reads, *([1] * (each.dim() - 2)))

    decays = F.pad(decay.unsqueeze(-1), (0, frames - 1)).flatten(2)
    read = F.pad(C.unsqueeze(-1), (0, frames - 1) if early else (frames - 1, 0)).flatten(2)
    inputs = [copied(beside(x)), copied(beside(weight)), copied(decays), copied(beside(B)), read]
    first = None if h is None else copied(h)
    keep = torch.is_grad_enabled() and any(each.requires_grad for each in inputs)
    y, last, _ = torch.ops.mctc.ssd(*inputs, None, first, groups * reads, keep)
    y = torch.unflatten(y, 2, (-1, frames))[..., 0 if early else -1]
    if diagonal is not None:
        y = y + _of_itself(x, diagonal, B, C, (writes, reads, groups, decay.shape[1]))
    return y, last[:, :channels]


def _of_itself(x: Tensor, diagonal: Tensor, B: Tensor, C: Tensor, sizes: tuple[int, int, int, int]) -> Tensor:
    """Of each read the sum of diagonal * x (B . C) over the writes of its own frame."""
    writes, reads, groups, heads = sizes
    into, out = (torch.unflatten(each, 1, (many, groups, -1)) for each, many in ((B, writes), (C, reads)))
    scores = torch.einsum("bwgnl,brgnl->bwrgl", into, out).repeat_interleave(heads // groups, 3)
    own = torch.unflatten(diagonal, 1, (writes, heads, 1)).to(x.dtype)
    driven = torch.unflatten(x, 1, (writes, heads, -1)) * own
    return torch.einsum("bwhpl,bwrhl->brhpl", driven, scores).flatten(1, 3)
