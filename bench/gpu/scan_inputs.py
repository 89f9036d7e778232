"""What the scans are measured on: random inputs with step sizes and decays as they are at a model's start."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """Batch, length, channels, state."""

    batch: int
    length: int
    channels: int
    state: int

    def __str__(self) -> str:
        return f"({self.batch}, {self.length}, {self.channels}, {self.state})"


SHAPES = (
    Shape(16, 512, 1024, 16),
    Shape(8, 1500, 512, 16),
    Shape(32, 375, 288, 16),
    Shape(1, 2048, 1024, 16),
    Shape(1, 16384, 1024, 16),
)
CACHE = 256 * 2**20  # inputs that rotate fill several times the 50 to 60 MB of a large GPU's L2 cache


@dataclass(frozen=True)
class Inputs:
    """x, delta, z: (Batch, Channels, L); A: (Channels, N); B, C: (Batch, 1, N, L); D, delta_bias: (Channels,).

    A, D and delta_bias are fp32. delta goes through softplus(delta + delta_bias); `dy` is the gradient of y.
    """

    x: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor | None
    delta_bias: Tensor
    dy: Tensor

    def leaves(self) -> list[Tensor]:
        """What has a gradient, in the order of the fields."""
        values = [getattr(self, each.name) for each in fields(self) if each.name != "dy"]
        return [value for value in values if value is not None]

    def to(self, dtype: torch.dtype | None = None, *, requires_grad: bool = False) -> Inputs:
        """A copy without a past, in a type."""
        changed = {
            each.name: value.detach().to(dtype=dtype or value.dtype, copy=True)
            for each in fields(self)
            if (value := getattr(self, each.name)) is not None
        }
        for name, value in changed.items():
            value.requires_grad_(requires_grad and name != "dy")
        return replace(self, **changed)


def make(shape: Shape, dtype: torch.dtype, *, gated: bool, seed: int, device: str = "cuda") -> Inputs:
    """Steps of 0.001 to 0.1 before the random part; decays of -1 to -N (Gu and Dao, 2023), a little apart."""
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*extents: int) -> Tensor:
        return torch.randn(*extents, device=device, generator=generator)

    batch, length, channels, state = shape.batch, shape.length, shape.channels, shape.state
    across, over_time = (batch, channels, length), (batch, 1, state, length)
    step = torch.exp(torch.empty(channels, device=device).uniform_(-6.9, -2.3, generator=generator))
    return Inputs(
        x=normal(*across).to(dtype),
        delta=(0.5 * normal(*across)).to(dtype),
        A=-torch.arange(1.0, state + 1, device=device) * (1 + 0.1 * normal(channels, state).abs()),
        B=normal(*over_time).to(dtype),
        C=normal(*over_time).to(dtype),
        D=normal(channels),
        z=normal(*across).to(dtype) if gated else None,
        delta_bias=step + torch.log(-torch.expm1(-step)),  # the inverse of softplus
        dy=normal(*across).to(dtype),
    )


def rotation(shape: Shape, dtype: torch.dtype, *, gated: bool) -> list[Inputs]:
    """Inputs enough to pass the cache by, each requiring gradients."""
    one = shape.batch * shape.length * shape.channels * dtype.itemsize * (3 if gated else 2)
    count = max(2, -(-CACHE // one))
    return [make(shape, dtype, gated=gated, seed=seed).to(requires_grad=True) for seed in range(count)]
