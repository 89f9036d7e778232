"""The scan of Mamba-2 (SSD) as one differentiable torch operation, `mctc::ssd`, for any scan with one decay a head.

On NVIDIA GPUs Triton kernels run it on tensor cores, elsewhere torch's batched matrix products. A log decay of each
frame in the place of A makes it the scan of RetNet, of gated linear attention with a gate a head, and of Mamba-3 (after
its rotation, its diagonal apart).
"""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

import torch
from torch import Tensor

from . import ssd_op  # noqa: F401 - registers the operation
from .ssd_written import written


def ssd(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    h: Tensor | None = None,
    diagonal: Tensor | None = None,
    *,
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] x[t] B[t]^T and y[t] = h[t] C[t] + D x[t] for each of `Heads` heads.

    x: (Batch, Heads * P, 1, L); delta: (Batch, Heads, 1, L); A, D: (Heads,), A negative; B, C: (Batch, groups * N, 1,
    L), where head i belongs to group i // (Heads / groups); h: (Batch, Heads * P, 1, N), zeros where absent. With A
    (Batch, Heads, 1, L), the log decay of each frame, the first factor is exp(A[t]), and x, delta and B may hold W
    writes of a frame one behind the other, C and y R reads. diagonal, as delta: its place where a frame reads itself.
    Returns y and the state after the last frame, in fp32 at least.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    decay = A.to(wide) if A.dim() == 1 else A.to(wide).squeeze(2)
    inputs = [x.squeeze(2), delta.to(wide).squeeze(2), decay, B.to(x.dtype).squeeze(2), C.to(x.dtype).squeeze(2)]
    skip, first = None if D is None else D.to(wide), None if h is None else h.to(wide).squeeze(2)
    heads = decay.shape[0 if decay.dim() == 1 else 1]
    if diagonal is None and delta.shape[1] == heads and B.shape[1] == C.shape[1]:
        keep = torch.is_grad_enabled() and any(each.requires_grad for each in inputs)
        y, last, _ = torch.ops.mctc.ssd(*inputs, skip, first, groups, keep)
        return y.unsqueeze(2), last.unsqueeze(2)
    if decay.dim() == 1:
        inputs[2] = decay[:, None] * inputs[1]
    driven, weight, decay, into, out = inputs
    own = None if diagonal is None else diagonal.to(wide).squeeze(2)
    y, last = written(driven, weight, decay, into, out, first, own, groups)
    if skip is not None:
        heads_of_writes = torch.unflatten(driven, 1, (-1, heads, x.shape[1] // delta.shape[1]))
        y = y + (heads_of_writes * skip[:, None, None]).flatten(1, 3).to(y.dtype)
    return y.unsqueeze(2), last.unsqueeze(2)
