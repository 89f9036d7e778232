"""Inputs of `mctc::ssd`, and the scan step by step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Given = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Case:
    """Sizes of a scan; `per_head`: whether the decay is a number a head, or given for each frame."""

    batch: int = 2
    heads: int = 4
    width: int = 8
    groups: int = 2
    states: int = 16
    length: int = 50
    per_head: bool = True
    options: tuple[str, ...] = ("D", "h")

    def inputs(self, dtype: torch.dtype) -> Given:
        """x, weight, decay, B, C, D and h, the same numbers in every type but for their rounding."""
        generator = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        per_frame = (self.batch, self.heads, self.length)
        weight = F.softplus(draw(*per_frame) - 1)
        decay = -torch.exp(draw(self.heads)) if self.per_head else -F.softplus(draw(*per_frame))
        channels, both = self.heads * self.width, self.groups * self.states
        x, B, C = draw(self.batch, channels, self.length), *(draw(self.batch, both, self.length) for _ in "BC")
        D, h = draw(self.heads), draw(self.batch, channels, self.states)
        found = (x, weight, decay, B, C, D if "D" in self.options else None, h if "h" in self.options else None)
        return tuple(None if each is None else each.to(dtype) for each in found)  # type: ignore[return-value]

    def upstream(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Gradients of y and of the last state."""
        generator = torch.Generator().manual_seed(2)
        channels = self.heads * self.width
        dy = torch.randn(self.batch, channels, self.length, generator=generator)
        return dy.to(dtype), torch.randn(self.batch, channels, self.states, generator=generator).to(dtype)


def step_by_step(given: Given, groups: int) -> tuple[Tensor, Tensor]:
    """y and the last state by their definition: h = exp(a) h + w x B^T, y = h C + D x for each head and frame."""
    x, weight, decay, B, C, D, h = given
    batch, channels, length = x.shape
    heads = weight.shape[1]
    u = x.view(batch, heads, -1, length)
    b, c = (each.view(batch, groups, -1, length).repeat_interleave(heads // groups, 1) for each in (B, C))
    log_decay = decay[:, None] * weight if decay.dim() == 1 else decay
    state = u.new_zeros(*u.shape[:3], b.shape[2]) if h is None else h.view(*u.shape[:3], -1)
    outputs = []
    for t in range(length):
        driven = (weight[:, :, None, t] * u[..., t])[..., None] * b[:, :, None, :, t]
        state = log_decay[:, :, None, None, t].exp() * state + driven
        outputs.append((state @ c[..., t, None]).squeeze(-1))
    y = torch.stack(outputs, -1)
    if D is not None:
        y = y + D[:, None, None] * u
    return y.reshape(x.shape), state.reshape(batch, channels, -1)
