"""AdamW, its rate as a function of the step alone, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from .config import Optimizer, Quantize


def rate_of(step: int, steps: int, config: Optimizer, quantize: Quantize) -> float:
    """The rate of a step, counted from 0: a linear warm-up and a cosine down to the floor, then another cosine where
    the weights are quantised."""
    phase = quantize.from_step or steps
    if step >= phase:
        return quantize.peak_rate * _cosine((step - phase) / (steps - phase), config.floor)
    warm = min(1.0, (step + 1) / max(1, config.warm_up))
    return warm * config.peak_rate * _cosine(step / phase, config.floor)


def _cosine(share: float, floor: float) -> float:
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * share))


def adamw(model: nn.Module, config: Optimizer, fused: bool) -> torch.optim.AdamW:
    """Weight decay on matrices alone: not on biases, norms, and parameters such as A_log."""
    decays = {
        name: name.endswith("weight") and sum(size > 1 for size in each.shape) > 1
        for name, each in model.named_parameters()
    }
    groups = [
        {"params": [each for name, each in model.named_parameters() if decays[name] is on], "weight_decay": decay}
        for on, decay in ((True, config.weight_decay), (False, 0.0))
    ]
    return torch.optim.AdamW(groups, lr=config.peak_rate, betas=(0.9, 0.98), fused=fused)


class Average:
    """The exponential moving average of a model's parameters, by name; of shards where it is sharded."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: each.detach().clone() for name, each in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Early on it forgets faster, so that it does not hold the initial values for long."""
        share = 1.0 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), [each.detach() for each in model.parameters()], share)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Takes over whole tensors."""
        for name, kept in self.values.items():
            value = values[name].to(kept.device)
            if isinstance(kept, DTensor):
                value = distribute_tensor(value, kept.device_mesh, kept.placements)
            kept.copy_(value)
