"""Memory that a differentiable function takes beyond what nobody could do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def extra_memory(forward: Callable[[], Sequence[Tensor]], inputs: Sequence[Tensor], dy: Tensor) -> float:
    """Peak bytes of a forward and a backward beyond inputs, outputs and their gradients, over the bytes of those.

    `forward` uses `inputs` and returns outputs, the first of which has the gradient `dy`; `inputs` require gradients.
    """
    torch.autograd.grad(forward()[0], inputs, dy)  # what stays allocated from a first call on isn't counted
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    outputs = forward()
    gradients = torch.autograd.grad(outputs[0], inputs, dy)
    peak = torch.cuda.max_memory_allocated() - before
    new = size(outputs) + size(gradients)
    return (peak - new) / (new + size([*inputs, dy]))


def size(tensors: Sequence[Tensor]) -> int:
    """Bytes of the elements."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
