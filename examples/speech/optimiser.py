"""AdamW, its rate as a function of the step alone, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .config import Optimizer, Quantize


def rate_of(step: int, steps: int, config: Optimizer, quantize: Quantize) -> float:
    """The rate of a step, counted from 0: a linear warm-up and a cosine to the floor, then a second cosine where the
    weights are quantised."""
    phase = quantize.from_step or steps
    if step < phase:
        warm = min(1.0, (step + 1) / max(1, config.warm_up))
        return warm * config.peak_rate * _cosine(step / phase, config.floor)
    return quantize.peak_rate * _cosine((step - phase) / (steps - phase), config.floor)


def _cosine(share: float, floor: float) -> float:
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def adamw(model: nn.Module, config: Optimizer, fused: bool) -> torch.optim.AdamW:
    """Weight decay on matrices alone: not on biases, norms, and parameters such as A_log."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        decays = name.endswith("weight") and sum(size > 1 for size in parameter.shape) > 1
        (matrices if decays else others).append(parameter)
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.peak_rate, betas=(0.9, 0.98), fused=fused)


class Average:
    """The exponential moving average of a model's parameters, by name; shards where the model is sharded."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: each.detach().clone() for name, each in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Early on the average forgets faster, so that it does not hold the initial values for long."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = [each.detach() for _, each in model.named_parameters()]
        torch._foreach_lerp_(list(self.values.values()), now, 1.0 - decay)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Takes over whole tensors."""
        from torch.distributed.tensor import DTensor, distribute_tensor

        for name, kept in self.values.items():
            value = values[name].to(kept.device)
            if isinstance(kept, DTensor):
                value = distribute_tensor(value, kept.device_mesh, kept.placements)
            kept.copy_(value)
