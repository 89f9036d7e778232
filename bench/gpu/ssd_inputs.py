"""What the scans with one decay a head are measured on: random inputs as they are at a model's start."""

# ruff: noqa: N806 - the names of the paper

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from bench.gpu.scan_inputs import CACHE


@dataclass(frozen=True)
class Shape:
    """Batch, length, heads H, channels P of a head, states N of a channel; one group."""

    batch: int
    length: int
    heads: int
    width: int
    states: int

    def __str__(self) -> str:
        return f"({self.batch}, {self.length}, {self.heads}, {self.width}, {self.states})"


SHAPES = (
    Shape(16, 512, 16, 64, 64),
    Shape(8, 1500, 8, 64, 64),
    Shape(32, 375, 8, 64, 64),
    Shape(1, 2048, 16, 64, 128),
    Shape(1, 16384, 16, 64, 128),
)


@dataclass(frozen=True)
class Inputs:
    """Of `mctc::ssd`: x (Batch, H * P, L), delta (Batch, H, L), A and D (H,), B and C (Batch, N, L); dy as x.

    delta, A and D are fp32. `leaves` are all but dy, in this order.
    """

    leaves: tuple[Tensor, ...]
    dy: Tensor

    def to(self, dtype: torch.dtype) -> Inputs:
        """A copy without a past that requires gradients, all in one type."""
        return Inputs(tuple(each.detach().to(dtype).requires_grad_() for each in self.leaves), self.dy.to(dtype))

    def frames_first(self, shape: Shape) -> Inputs:
        """As mamba-ssm has them: x and dy (Batch, L, H, P), delta (Batch, L, H), B and C (Batch, L, 1, N)."""
        x, delta, A, B, C, D = (each.detach() for each in self.leaves)

        def turned(each: Tensor, *axes: int) -> Tensor:
            return each.transpose(1, 2).contiguous().view(shape.batch, shape.length, *axes)

        heads, states = (shape.heads, shape.width), (1, shape.states)
        given = (turned(x, *heads), turned(delta, shape.heads), A, turned(B, *states), turned(C, *states), D)
        return Inputs(tuple(each.requires_grad_() for each in given), turned(self.dy, *heads))


def make(shape: Shape, dtype: torch.dtype, *, seed: int, device: str = "cuda") -> Inputs:
    """Steps around 0.001 to 0.1, decays of -1 to -16 (Dao and Gu, 2024)."""
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*extents: int) -> Tensor:
        return torch.randn(*extents, device=device, generator=generator)

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(shape.heads, device=device).uniform_(low, high, generator=generator)

    step = torch.exp(uniform(-6.9, -2.3))
    bias = step + torch.log(-torch.expm1(-step))  # the inverse of softplus
    delta = F.softplus(0.5 * normal(shape.batch, shape.heads, shape.length) + bias[:, None])
    A, D = -uniform(1, 16), normal(shape.heads)
    across = (shape.batch, shape.heads * shape.width, shape.length)
    B, C = (normal(shape.batch, shape.states, shape.length).to(dtype) for _ in range(2))
    leaves = (normal(*across).to(dtype), delta, A, B, C, D)
    return Inputs(tuple(each.requires_grad_() for each in leaves), normal(*across).to(dtype))


def rotation(shape: Shape, dtype: torch.dtype) -> list[Inputs]:
    """Inputs enough to pass the cache by."""
    one = 2 * shape.batch * shape.length * shape.heads * shape.width * dtype.itemsize
    return [make(shape, dtype, seed=seed) for seed in range(max(2, min(8, -(-CACHE // one))))]
