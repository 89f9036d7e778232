"""The selective scan's definition, one time step after another: what every faster form is tested against.

Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (arXiv 2312.00752), algorithm 2, with the
input matrix discretised as delta * B, as their implementation does.
"""

# ruff: noqa: N803, N806, N812 - the names of the paper and of torch's documentation

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sequential(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    h: Tensor | None = None,
    softplus: bool = False,
) -> tuple[Tensor, Tensor]:
    """y (Batch, Channels, L) and the last state (Batch, Channels, N), in any floating type, differentiable by autograd.

    x, delta, z: (Batch, Channels, L); A: (Channels, N); B, C: (Batch, Groups, N, L); D, delta_bias: (Channels,);
    h: (Batch, Channels, N), zeros where absent. Computes in fp32, or in fp64 where x is fp64; y comes in x's type.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    each_group = x.shape[1] // B.shape[1]
    rate = delta.to(wide) if delta_bias is None else delta.to(wide) + delta_bias[:, None]
    rate = F.softplus(rate) if softplus else rate
    inputs = (rate * x.to(wide)).unbind(-1)
    B_t = B.to(wide).repeat_interleave(each_group, 1).unbind(-1)
    C_t = C.to(wide).repeat_interleave(each_group, 1).unbind(-1)

    state = x.new_zeros(*x.shape[:2], A.shape[1], dtype=wide) if h is None else h.to(wide)
    outputs = []
    for t, rate_t in enumerate(rate.unbind(-1)):
        state = torch.exp(rate_t[..., None] * A) * state + inputs[t][..., None] * B_t[t]
        outputs.append((C_t[t] * state).sum(-1))

    y = torch.stack(outputs, -1) if outputs else torch.zeros_like(x, dtype=wide)
    y = y if D is None else y + D[:, None] * x
    y = y if z is None else y * F.silu(z.to(wide))
    return y.to(x.dtype), state
